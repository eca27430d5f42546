"use strict";
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const tip = document.getElementById("tip"), said = document.getElementById("said"), theme = document.getElementById("theme");

  // the theme: the system's until the button is pressed
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Use the ${dark() ? "light" : "dark"} theme`); };
  theme.hidden = false;
  theme.addEventListener("click", () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();

  // what a mark of a chart says: the nearest to the pointer, or by the arrow keys
  let shown = null;
  const slice = mark => mark.classList.contains("slice");  // all of a chart at one place of its x-axis
  const middle = mark => { const box = mark.getBoundingClientRect(); return [box.left + box.width / 2, slice(mark) ? box.top : box.top + box.height / 2]; };
  const hide = () => { if (shown) shown.classList.remove("shown"); shown = null; tip.hidden = true; };
  const show = mark => {
    hide();
    shown = mark;
    mark.classList.add("shown");
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const [x, y] = middle(mark), box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(6, Math.min(x - box.width / 2, document.documentElement.clientWidth - box.width - 6))}px`;
    tip.style.top = `${y - box.height - 12 < 6 ? y + 14 : y - box.height - 12}px`;
  };
  for (const chart of all("svg.chart")) {
    const marks = all("[data-tip]", chart);
    if (!marks.length) continue;
    const point = event => {
      let nearest = null, least = 28;
      for (const mark of marks) {
        const [x, y] = middle(mark), away = slice(mark) ? Math.abs(x - event.clientX) : Math.hypot(x - event.clientX, y - event.clientY);
        if (away < least) { least = away; nearest = mark; }
      }
      if (nearest === null) hide(); else if (nearest !== shown) show(nearest);
    };
    chart.addEventListener("pointermove", point);
    chart.addEventListener("pointerdown", point);
    chart.addEventListener("pointerleave", hide);
    const order = () => marks.map(mark => [middle(mark)[0], mark]).sort((a, b) => a[0] - b[0]).map(pair => pair[1]);
    const say = mark => { show(mark); said.textContent = mark.dataset.tip; };
    chart.addEventListener("focus", () => { if (chart.matches(":focus-visible")) say(order()[0]); });
    chart.addEventListener("blur", hide);
    chart.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      const sorted = order(), at = sorted.indexOf(shown);
      say(sorted[Math.max(0, Math.min(sorted.length - 1, at + step))]);
    });
  }
  addEventListener("scroll", hide, { passive: true });

  // one of several views at a time
  for (const group of all("[data-views]")) {
    const views = all(":scope > [data-view]", group), buttons = all(".switch button", group);
    const choose = name => {
      for (const view of views) view.hidden = view.dataset.view !== name;
      for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.show === name);
    };
    for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.show));
    group.querySelector(".switch").hidden = false;
    choose(views[0].dataset.view);
  }

  // the table of trials: sorted by a column, and only its first rows until it is unfolded
  for (const table of all("table.trials")) {
    const body = table.tBodies[0], rows = [...body.rows], most = +table.dataset.most, more = document.getElementById("more");
    let folded = Boolean(more);
    const fold = () => [...body.rows].forEach((row, place) => { row.hidden = folded && place >= most; });
    if (more) {
      more.hidden = false;
      more.addEventListener("click", () => {
        folded = !folded;
        more.textContent = folded ? more.dataset.all : `Show the first ${most} only`;
        more.setAttribute("aria-expanded", String(!folded));
        fold();
      });
      fold();
    }
    all("thead th", table).forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        all("thead th", table).forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = row => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
        rows.sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          if (x === "" || y === "") return (x === "") - (y === "");
          return (up ? 1 : -1) * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
        });
        body.append(...rows);
        fold();
      });
    });
  }
})();
