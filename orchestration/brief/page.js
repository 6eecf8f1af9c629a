"use strict";
(() => {
  const root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const DAY = 86400000;

  // --- numbers, as numbers.py writes them
  const MINUS = "\u2212", SPACE = "\u00a0";
  const sign = (value) => (value < 0 ? MINUS : "");
  const known = (value) => value !== null && value !== undefined && Number.isFinite(+value);
  const short = (value, write) => {
    if (!known(value)) return "no data";
    const size = Math.abs(value);
    const [unit, name] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]].find(([each]) => size >= each * 0.99995) || [1, ""];
    return `${sign(value)}$${write(size / unit)}${name && SPACE + name}`;
  };
  const usd = (value) => short(value, (size) => (Math.abs(value) < 1000 ? String(+size.toPrecision(4)) : size.toFixed(size < 99.995 ? 2 : 1)));
  const usdtick = (value) => short(value, (size) => String(+size.toPrecision(3)));
  const usdcell = (value) => (known(value) ? short(value, (size) => (size >= 99.95 ? size.toFixed(0) : size.toPrecision(3))) : "");
  const percent = (value) => (known(value) ? `${sign(value)}${+(100 * Math.abs(value)).toPrecision(4)}${SPACE}%` : "no data");
  const plain = (value) => {
    if (!known(value)) return "no data";
    const size = Math.abs(value);
    return sign(value) + (size >= 1000 ? Math.round(size).toLocaleString("en-US") : +size.toPrecision(4));
  };
  const writes = { usd, percent, number: plain, count: plain };

  // --- light and dark
  const themeButton = $("#theme");
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const remember = (theme) => { try { localStorage.setItem("altflow-theme", theme); } catch { /* file: may forbid it */ } };
  try { const kept = localStorage.getItem("altflow-theme"); if (kept) root.dataset.theme = kept; } catch { /* as above */ }
  const showTheme = () => {
    themeButton.textContent = isDark() ? "Light theme" : "Dark theme";
    themeButton.setAttribute("aria-pressed", String(isDark()));
  };
  showTheme();

  // --- charts
  const charts = JSON.parse($("#chart-data").textContent);
  const phases = JSON.parse($("#phase-data").textContent);
  const unpacked = (column) => {
    if (Array.isArray(column)) return column;
    if (column.days) return column.days.map((day) => (day === null ? null : day * DAY));
    return Array.from({ length: column.count }, (_, i) => (column.first + i * column.step) * DAY);
  };
  const rowsOf = (columns) => {
    const names = Object.keys(columns), values = names.map((name) => unpacked(columns[name]));
    return values[0].map((_, i) => Object.fromEntries(names.map((name, j) => [name, values[j][i]])));
  };
  // Colours stay names of the style sheet, so that a theme or a printer changes them without drawing anew.
  const color = (name) => `var(--${/^\d$/.test(name) ? "c" : ""}${name})`;
  const colored = (part) => {
    if (typeof part === "string") return part.startsWith("@") ? color(part.slice(1)) : part;
    if (Array.isArray(part)) return part.map(colored);
    if (part && typeof part === "object")
      return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, colored(each)]));
    return part;
  };
  const config = {
    aria: false,   // a plot is one image with a label, and a table behind it
    background: null, customFormatTypes: true, view: { stroke: null }, text: { font: "system-ui, sans-serif" },
    axis: {
      labelColor: color("soft"), gridColor: color("grid"), domainColor: color("line"), tickColor: color("line"),
      labelFontSize: 12, labelFont: "system-ui, sans-serif",
    },
    axisX: { grid: false }, axisY: { domain: false, ticks: false, labelPadding: 6 },
  };
  const states = new Map();

  const specOf = (id) => {
    const state = states.get(id), { chart, rows } = state;
    const spec = colored(chart.spec);
    spec.config = config;
    spec.datasets = { table: rows };
    if (chart.isDaily) {
      const last = Math.max(...rows.map((row) => row.utc_date));
      const from = state.years ? last - state.years * 365.25 * DAY : -Infinity;
      const shown = rows.filter((row) => row.utc_date >= from);
      const first = Math.min(...shown.map((row) => row.utc_date));
      if (last - first < 2.2 * 365 * DAY) Object.assign(spec.encoding.x.axis, { format: "%b %Y", tickCount: 5 });
      spec.datasets.table = state.shown = shown;
      spec.datasets.phases = phases
        .map(([, begin, end], i) => ({ first: Math.max(begin * DAY, first), last: Math.min(end * DAY, last), shade: i % 2 ? 0.14 : 0.02 }))
        .filter((each) => each.first < each.last);
    }
    if (spec.height.step) spec.height = chart.spec.height.step * new Set(rows.map((row) => row[chart.spec.layer.concat(chart.spec).find((each) => each.encoding?.y?.type === "nominal").encoding.y.field])).size;
    if (state.isLog) {   // which has no zero
      spec.layer = spec.layer.filter((layer) => layer.encoding.y?.datum !== 0);
      for (const layer of spec.layer) if (layer.encoding.y?.scale) layer.encoding.y.scale = { type: "log" };
      for (const row of spec.datasets.table = spec.datasets.table.map((each) => ({ ...each })))
        for (const [column] of chart.series) if (row[column] <= 0) row[column] = null;
    }
    return spec;
  };
  const draw = async (id) => {
    const state = states.get(id), { chart } = state;
    if (state.view) state.view.finalize();
    const plot = $(".plot", state.figure);
    const embedded = await vegaEmbed(plot, specOf(id), {
      mode: "vega-lite", ast: true, renderer: "svg", actions: false, logLevel: 1, defaultStyle: false,
      tooltip: { disableDefaultStyle: true, theme: "altflow" },
      expressionFunctions: { usd, usdtick, usdcell, percent, plain },
    });
    state.view = embedded.view;
    $("svg", plot).setAttribute("aria-hidden", "true");   // the plot is one image with a text; its marks have none
    if (chart.series.length) follow(state);
    if (state.off.size) await applyOff(state);
    state.figure.dataset.rendered = "true";
  };
  // A rule at the day under the pointer, and the values of that day beside it.
  const day = document.body.appendChild(document.createElement("div"));
  day.id = "day";
  day.setAttribute("aria-hidden", "true");   // the same values stand in the data table
  const follow = (state) => {
    const { view, shown, chart } = state, svg = $("svg", state.figure);
    const days = shown.map((row) => row.utc_date);
    const leave = () => { day.classList.remove("visible"); view.signal("at", 0).runAsync(); };
    const move = (event) => {
      const box = svg.getBoundingClientRect(), at = +view.scale("x").invert(event.clientX - box.left - view.origin()[0]);
      let low = 0, high = days.length - 1;
      while (low < high) { const middle = (low + high) >> 1; if (days[middle] < at) low = middle + 1; else high = middle; }
      if (low && at - days[low - 1] < days[low] - at) low -= 1;
      view.signal("at", days[low]).runAsync();
      const table = document.createElement("table"), title = document.createElement("p");
      const phase = phases.find(([, begin, end]) => begin * DAY <= days[low] && days[low] < end * DAY);
      title.textContent = new Date(days[low]).toISOString().slice(0, 10) + (phase ? `, ${phase[0]}` : "");
      for (const [column, label, color] of chart.series) {
        if (state.off.has(column)) continue;
        const line = table.insertRow(), name = line.insertCell(), value = line.insertCell(), swatch = document.createElement("span");
        swatch.className = `swatch c${color}`;
        name.append(swatch, label);
        value.textContent = writes[chart.format](shown[low][column]);
        value.className = "number";
      }
      day.replaceChildren(title, table);
      const right = event.clientX + 18 + day.offsetWidth < innerWidth ? event.clientX + 14 : event.clientX - 14 - day.offsetWidth;
      day.style.left = `${Math.max(4, right)}px`;
      day.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - day.offsetHeight - 4))}px`;
      day.classList.add("visible");
    };
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerdown", move);
    svg.addEventListener("pointerleave", leave);
  };
  const applyOff = (state) => state.view.signal("off", [...state.off]).runAsync();

  for (const figure of $$("figure.chart")) {
    const id = figure.dataset.chart;
    if (!charts[id]) continue;
    const { chart, columns } = charts[id];
    states.set(id, { figure, chart, rows: rowsOf(columns), off: new Set(), years: 0, isLog: false, view: null });
  }
  const drawAll = async () => {
    for (const id of states.keys()) {
      try { await draw(id); } catch (error) {
        const figure = states.get(id).figure;
        figure.dataset.rendered = "failed";
        $(".plot", figure).textContent = `This chart could not be drawn: ${error.message}. Its data stand in the table.`;
        console.error(id, error);
      }
      await new Promise((resolve) => setTimeout(resolve));   // the page stays usable while charts are drawn
    }
  };
  window.altflowReady = drawAll();
  themeButton.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; remember(root.dataset.theme); showTheme(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

  const dataTable = (id) => {
    const { chart, rows, figure } = states.get(id);
    const labels = Object.fromEntries(chart.series.map(([column, label]) => [column, label]));
    const names = Object.keys(rows[0]);
    const table = document.createElement("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    table.createCaption().textContent = $("h3", figure).textContent;
    table.caption.className = "visually-hidden";
    for (const name of names) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = labels[name] || (name === "utc_date" ? "UTC day" : name.replaceAll("_", " "));
      if (!name.endsWith("_date") && rows.some((row) => typeof row[name] === "number")) cell.className = "number";
      head.append(cell);
    }
    for (const row of chart.isDaily ? rows.toReversed() : rows) {
      const line = body.insertRow();
      names.forEach((name, i) => {
        const value = row[name], cell = i ? line.insertCell() : line.appendChild(document.createElement("th"));
        if (!i) cell.scope = "row";
        if (name.endsWith("_date")) cell.textContent = value === null ? "no data" : new Date(value).toISOString().slice(0, 10);
        else if (typeof value === "number") { cell.textContent = (labels[name] ? writes[chart.format] || plain : plain)(value); cell.className = "number"; }
        else { const text = document.createElement("bdi"); text.textContent = value ?? "no data"; cell.append(text); }
      });
    }
    return table;
  };

  // --- what is clicked
  const toggle = (button) => {
    const panel = document.getElementById(button.getAttribute("aria-controls"));
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
    return panel;
  };
  const copy = async (button) => {
    const text = $(`#${button.dataset.copies} code`).textContent;
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");   // file: pages have no clipboard in some browsers
      area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy SQL"; }, 2000);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const figure = button.closest("figure.chart"), state = figure && states.get(figure.dataset.chart);
    if (button.matches(".show-sql")) toggle(button);
    else if (button.matches(".copy")) copy(button);
    else if (button.matches(".show-data")) {
      const panel = toggle(button);
      if (!panel.firstChild) { panel.tabIndex = 0; panel.setAttribute("role", "region"); panel.setAttribute("aria-label", `Data of ${$("h3", figure).textContent}`); panel.append(dataTable(figure.dataset.chart)); }
    } else if (button.matches(".log") && state) {
      state.isLog = !state.isLog; button.setAttribute("aria-pressed", String(state.isLog)); draw(figure.dataset.chart);
    } else if (button.dataset.years && state) {
      state.years = +button.dataset.years;
      for (const each of $$("[data-years]", figure)) each.setAttribute("aria-pressed", String(each === button));
      draw(figure.dataset.chart);
    } else if (button.dataset.series && state) {
      const isOff = state.off.has(button.dataset.series);
      if (isOff) state.off.delete(button.dataset.series); else state.off.add(button.dataset.series);
      button.setAttribute("aria-pressed", String(isOff));
      if (state.view) applyOff(state);
    } else if (button.dataset.verdict) {
      for (const each of $$("[data-verdict]", button.parentElement)) each.setAttribute("aria-pressed", String(each === button));
      for (const claim of $$(".register")) claim.hidden = button.dataset.verdict !== "all" && claim.dataset.verdictOf !== button.dataset.verdict;
    } else if (button.closest("table.sortable th")) sort(button.closest("th"));
  });

  // --- tables
  const sort = (head) => {
    const table = head.closest("table"), at = [...head.parentElement.children].indexOf(head);
    const isUp = head.getAttribute("aria-sort") === "descending";
    for (const each of head.parentElement.children) each.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    const key = (row) => { const cell = row.cells[at]; return "value" in cell.dataset ? (cell.dataset.value === "" ? null : +cell.dataset.value) : cell.textContent.trim(); };
    const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (a === null) - (b === null) || (isUp ? order(a, b) : order(b, a)));   // what is not known comes last
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const input of $$("input[data-filters]")) input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let count = 0;
    for (const row of document.getElementById(input.dataset.filters).tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      count += !row.hidden;
    }
    $(".count", input.closest(".filter")).textContent = `${count} rows`;
  });

  // --- where one is
  const links = new Map($$(".contents a").map((link) => [link.getAttribute("href").slice(1), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const section of $$("main > section")) watch.observe(section);
  addEventListener("hashchange", () => { const claim = location.hash.length > 1 && document.getElementById(location.hash.slice(1)); if (claim && claim.hidden) claim.hidden = false; });
})();
