"""How long what a person waits for takes, each command as a process of its own, side by side in one run."""
