// A click on a column's heading sorts its table; cells without a number stay last.
'use strict';
for (const heading of document.querySelectorAll('thead th')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener('click', () => {
    const body = heading.closest('table').tBodies[0], column = heading.cellIndex;
    const number = heading.classList.contains('number');
    const falling = heading.getAttribute('aria-sort') !== (number ? 'descending' : 'ascending') ? number : !number;
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (!number) return falling ? y.localeCompare(x) : x.localeCompare(y);
      const [p, q] = [parseFloat(x), parseFloat(y)];
      if (isNaN(p) || isNaN(q)) return isNaN(p) - isNaN(q);
      return falling ? q - p : p - q;
    });
    body.append(...rows);
    for (const other of heading.parentNode.cells) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
  });
}
