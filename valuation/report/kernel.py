"""Run a notebook in a kernel of this interpreter, isolated, and say whether it really finished.

The verdict comes from the cells and from the sentinel that the last one shows, never from metadata
that a dying run can leave behind: papermill calls ``SystemExit(0)`` and a kill both "completed".
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from valuation import errors, gate
from valuation.errors import RunError, ValuationError
from valuation.sections.sentinel import RESULTS_MIME, digest_of

START_TRIES = 3
START_SECONDS = 120
CELL_SECONDS = 1800
OnCell = Callable[[int, int], None]

# Errors that a cell may raise on purpose; they keep their kind on the way out of the kernel.
_KNOWN = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, ValuationError) and not name.startswith("_")
}


def _manager() -> Any:
    """A kernel manager that knows one kernel: this interpreter's."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class OnlyThisInterpreter(KernelSpecManager):
        """A kernelspec left behind in a home folder cannot send the run to another Python."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    manager = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=OnlyThisInterpreter(), shutdown_wait_time=2.0
    )
    if manager.has_trait("transport_encryption"):
        # Where it is absent, older clients never warn about plain TCP either.
        manager.transport_encryption = "auto"
    return manager


def _environment(root: Path, scratch: Path) -> dict[str, str]:
    environment = dict(os.environ)
    for name in ("PYTHONSTARTUP", "PYTHONHOME", "JUPYTER_PATH", "PYTHONINSPECT"):
        environment.pop(name, None)
    # The kernel computes with the package that started it, not with another one installed.
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment |= {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "IPYTHONDIR": str(scratch / "ipython"),  # no start-up files of the user's
        "JUPYTER_CONFIG_DIR": str(scratch / "jupyter"),
        "VALUATION_HOME": str(root),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    return environment


def _from_cell(name: str, index: int, kind: str, text: str) -> ValuationError:
    """The error that a cell raised, as ours; anything we did not raise on purpose is a RunError."""
    if kind in _KNOWN and text.strip():
        known: Callable[[list[str]], ValuationError] = _KNOWN[kind]
        return known([line for line in text.splitlines() if line.strip()])
    first = text.strip().splitlines()[0] if text.strip() else "no message"
    return RunError(
        f"{name}: code cell {index} stopped with {kind}: {first}; "
        "open it with `valuation lab` and run it there"
    )


async def _start(client: Any, name: str, **options: Any) -> None:
    """Start the kernel; a lost race for a port is a known accident of Jupyter's, so try again."""
    for attempt in range(1, START_TRIES + 1):
        try:
            await client.async_start_new_kernel(**options)
            await client.async_start_new_kernel_client()
            return
        except (RuntimeError, OSError, TimeoutError) as error:
            await _stop(client)
            if attempt == START_TRIES:
                raise RunError(
                    f"{name}: the notebook's kernel did not start in {START_TRIES} tries "
                    f"({error}); is memory short? `valuation report --jobs 1` needs less"
                ) from None
            client.km = _manager()
            client.kc = None
            await asyncio.sleep(0.2 * attempt)


async def _stop(client: Any) -> None:
    if client.kc is not None:
        client.kc.stop_channels()
    try:
        if client.km.has_kernel:
            await client.km.shutdown_kernel(now=True)
        await client.km.cleanup_resources()
    except (RuntimeError, OSError):
        pass  # it is gone already


async def _effective(client: Any, names: list[str]) -> dict[str, Any]:
    """Values that the parameters have once every cell has run."""
    expressions = {name: f"__import__('json').dumps({name})" for name in names}
    message = client.kc.execute(
        "", silent=True, store_history=False, user_expressions=expressions, allow_stdin=False
    )
    reply = await client.async_wait_for_reply(message)
    found = (reply or {}).get("content", {}).get("user_expressions", {})
    values = {}
    for name in names:
        text = found.get(name, {}).get("data", {}).get("text/plain")
        try:
            values[name] = json.loads(_literal(text))
        except (ValueError, SyntaxError, TypeError):
            values[name] = None
    return values


def _literal(text: str) -> str:
    value = ast.literal_eval(text)
    if not isinstance(value, str):
        raise ValueError("not text")
    return value


def results_of(notebook: Any, name: str) -> dict[str, Any]:
    """Results that the last code cell showed.

    Raises what a cell raised, :class:`GateError` if a cell was not run or the results were not
    shown once at the end, :class:`RunError` if they do not fit their digest.
    """
    cells = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    for index, cell in enumerate(cells, 1):
        for output in cell.outputs:
            if output.output_type == "error":
                raise _from_cell(name, index, output.ename, output.evalue)
    gate.gate(gate.notebook(notebook, name=name)).raise_if_refused()
    shown = next(
        o.data[RESULTS_MIME] for o in cells[-1].outputs if RESULTS_MIME in o.get("data", {})
    )
    if digest_of(shown["results"]) != shown["digest"]:
        raise RunError(f"{name}: the results do not fit their digest; run it again")
    return dict(shown["results"])


async def execute(
    notebook: Any,
    parameters: Mapping[str, Any],
    *,
    name: str,
    cwd: Path,
    root: Path,
    on_cell: OnCell | None = None,
    cell_seconds: int = CELL_SECONDS,
) -> dict[str, Any]:
    """Run ``notebook`` (an nbformat node, changed in place) and return its results.

    Raises
    ------
    GateError, LedgerError, ParameterError, ...
        As a cell raised it.
    RunError
        If it did not finish, lost its kernel, or its parameters did not end as they were given.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    total = sum(c.cell_type == "code" and bool(c.source.strip()) for c in notebook.cells)
    with tempfile.TemporaryDirectory(prefix="valuation-kernel-") as folder:
        scratch = Path(folder)
        client = NotebookClient(
            notebook,
            km=_manager(),
            timeout=cell_seconds,
            startup_timeout=START_SECONDS,
            force_raise_errors=True,
            record_timing=False,
        )
        client.log.disabled = True  # what it would say is in the error
        client.reset_execution_trackers()
        done = 0
        with (scratch / "kernel.log").open("w+", encoding="utf-8") as log:
            try:
                await _start(
                    client,
                    name,
                    cwd=str(cwd),
                    env=_environment(root, scratch),
                    stdout=log,
                    stderr=log,
                )
                for index, cell in enumerate(notebook.cells):
                    await client.async_execute_cell(cell, index)
                    if cell.cell_type == "code" and cell.source.strip():
                        done += 1
                        if on_cell:
                            on_cell(done, total)
                effective = await _effective(client, list(parameters))
            except CellExecutionError as error:
                raise _from_cell(name, done + 1, error.ename, error.evalue) from None
            except CellTimeoutError:
                raise RunError(
                    f"{name}: a cell ran longer than {cell_seconds} s; run it in `valuation lab`"
                ) from None
            except DeadKernelError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # nbclient takes Ctrl-C for a death
                    raise asyncio.CancelledError from None
                raise RunError(
                    f"{name}: its kernel was killed in code cell {done + 1}; if "
                    "memory is short, try `valuation report --jobs 1`"
                ) from None
            finally:
                await _stop(client)
    results = results_of(notebook, name)
    for parameter, value in parameters.items():
        if effective[parameter] != value:
            raise RunError(
                f"{name}: parameter {parameter!r} was given {value!r} and ended as "
                f"{effective[parameter]!r}; a cell assigns to it"
            )
    return results
