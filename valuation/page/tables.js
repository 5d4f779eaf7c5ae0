// Tables that a reader may sort by a column and narrow by words; without scripts they stand as they are.
(() => {
  "use strict";
  const value = (row, column) => {
    const cell = row.cells[column];
    const time = cell.querySelector("time");
    return (time ? time.dateTime : cell.textContent).trim();
  };
  const number = (text) => Number(text.replace(/\u2212/g, "-").replace(/[^0-9.eE+-]/g, ""));

  for (const region of document.querySelectorAll("[data-sortable]")) {
    const table = region.querySelector("table");
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...body.rows];

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "vl-sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const numeric = head.classList.contains("vl-number");
        const sorted = rows
          .map((row, place) => ({ row, place, key: value(row, column) }))
          .sort((a, b) => {
            const order = numeric ? number(a.key) - number(b.key) : a.key.localeCompare(b.key);
            return (down ? -order : order) || a.place - b.place;
          });
        body.append(...sorted.map((entry) => entry.row));
      });
    });

    const line = document.createElement("p");
    line.className = "vl-filter";
    const label = document.createElement("label");
    label.textContent = `${region.dataset.sortable} `;
    const input = document.createElement("input");
    input.type = "search";
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    label.append(input);
    line.append(label, said);
    region.before(line);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        left += row.hidden ? 0 : 1;
      }
      said.textContent = words.length ? `${left} of ${rows.length} rows` : "";
    });
  }
})();
