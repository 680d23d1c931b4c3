"use strict";
/* Sort a task table by the column whose heading is pressed. Without this script the table is in the order of points. */
(() => {
  const value = (row, column) => {
    const cell = row.children[column];
    return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
  };
  const prepare = (table) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const order = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
        const sign = order === "descending" ? -1 : 1;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const rows = [...body.rows].map((row) => [value(row, column), row]);
        rows.sort(([a], [b]) => sign * (typeof a === "number" ? a - b : String(a).localeCompare(String(b))));
        body.replaceChildren(...rows.map(([, row]) => row));
      });
    });
  };
  document.querySelectorAll("table.sortable").forEach(prepare);
  globalThis.rigSortTables = (part) => part.querySelectorAll("table.sortable").forEach(prepare);
})();
