"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const root = document.documentElement;
  const charts = JSON.parse($("charts").textContent);
  const vintages = JSON.parse($("vintages").textContent);
  const views = {};

  // The page's age, from its cut-off: an old page says so itself.
  function age() {
    const minutes = Math.floor((Date.now() - Date.parse($("age").dataset.cutoff)) / 60000);
    const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
    const said = days > 1 ? `${days} days` : days === 1 ? `1 day ${hours} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
    $("age").textContent = minutes < 0 ? "the cut-off lies ahead of this clock" : `${said} since then` + (days > 1 ? ": old" : "");
    $("age").classList.toggle("old", days > 1);
  }

  function dark() {
    return (root.dataset.scheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  }

  function remember(scheme) {
    try { localStorage.setItem("scheme", scheme); } catch { /* a page without storage keeps the choice while it is open */ }
  }

  // A specification names the page's colours; the reader's scheme says what they are.
  function coloured(value, style) {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.map((v) => coloured(v, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, style)]));
    }
    return value;
  }

  const config = {
    background: "transparent", font: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
    view: { stroke: null }, aria: false,
    axis: { labelColor: "--muted", titleColor: "--muted", domainColor: "--muted", tickColor: "--rule", gridColor: "--rule",
            titleFontWeight: 400, labelFontSize: 11.5, titleFontSize: 12, gridOpacity: 0.6 },
    legend: { labelColor: "--ink", labelFontSize: 12 },
  };

  async function draw() {
    const style = getComputedStyle(root);
    for (const box of all("[data-chart]")) {
      const { spec, data } = charts[box.dataset.chart];
      box.hidden = false;
      views[box.dataset.chart]?.finalize();
      const made = { ...coloured(spec, style), datasets: data, config: coloured(config, style) };
      views[box.dataset.chart] = await vegaEmbed(box, made, {
        ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip: { disableDefaultStyle: true },
      });
      // the box is an image with a name; the marks inside say nothing to who cannot see them
      box.querySelector("svg").setAttribute("aria-hidden", "true");
    }
    move();
    root.dataset.drawn = "yes";
  }

  // What was known at stop `n`: the table, the query and the chart of each asset, and one line that is read out.
  function move() {
    const n = Number($("step").value);
    const stop = vintages.stops[n];
    const told = [];
    $("instant").textContent = `${stop.text} UTC`;
    $("step").setAttribute("aria-valuetext", `${stop.text} UTC`);
    for (const [name, { data }] of Object.entries(charts)) {
      if (!name.startsWith("flow-")) continue;
      const known = Object.fromEntries(data.rows.filter((r) => r.from_no <= n && n < r.to_no).map((r) => [r.session, r]));
      for (const row of all(`table[data-figure="${name}"] tbody tr`)) show(row, known[cell(row, "session_date").dataset.value]);
      $(`sql-${name}`).textContent = vintages.query.replace("{instants}", stop.sql);
      const newest = Object.values(known).filter((r) => r.text !== null).sort((a, b) => (a.session < b.session ? 1 : -1))[0];
      told.push(newest ? `${name.slice(5)} ${newest.session}: ${newest.text} m USD, ${newest.status}, ${newest.funds} funds` : `${name.slice(5)}: nothing yet`);
      views[name]?.view.signal("step", n).runAsync();
    }
    $("told").textContent = (stop.decisions ? `${stop.decisions.replaceAll(".", " ")}, decision. ` : "") + told.join(". ") + ".";
  }

  const cell = (row, column) => row.querySelector(`[data-column="${column}"]`);

  function show(row, known) {
    const flow = cell(row, "net_flow_usd");
    const text = document.createElement("span");
    text.textContent = known.text ?? "";
    text.className = known.way === "out" ? "out" : "";
    flow.replaceChildren(text);
    const status = document.createElement("span");
    status.textContent = known.status.replace("_", " ");
    status.className = `status status-${known.status}`;
    cell(row, "obs_status").replaceChildren(status);
    cell(row, "n_funds_reported").textContent = known.funds;
    cell(row, "known_from").textContent = known.known + (known.vintage === "pseudo" ? " assumed" : "");
  }

  async function copy(button) {
    const code = $(button.dataset.copies);
    const text = code.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      code.closest("details").open = true;
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    const was = button.innerHTML;
    button.textContent = "Copied";
    setTimeout(() => { button.innerHTML = was; }, 1500);
  }

  function ready() {
    try { root.dataset.scheme = localStorage.getItem("scheme") || ""; } catch { /* no storage: the system's scheme */ }
    if (!root.dataset.scheme) delete root.dataset.scheme;
    const scheme = $("scheme");
    const name = () => { scheme.textContent = dark() ? "Light" : "Dark"; scheme.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"}`); };
    name();
    scheme.addEventListener("click", () => { root.dataset.scheme = dark() ? "light" : "dark"; remember(root.dataset.scheme); name(); draw(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { name(); draw(); });
    for (const button of all(".copy")) { button.hidden = false; button.addEventListener("click", () => copy(button)); }
    scheme.hidden = $("slider").hidden = false;
    $("step").addEventListener("input", move);
    for (const button of all("[data-step]")) button.addEventListener("click", () => { $("step").value = button.dataset.step; move(); });
    for (const button of all("[data-jump]")) button.addEventListener("click", () => { $("step").valueAsNumber += Number(button.dataset.jump); move(); });
    age();
    setInterval(age, 60000);
    move();
  }

  // The chart runtime is large: it starts after the first paint.
  function start() {
    const script = document.createElement("script");
    script.textContent = $("runtime").textContent;
    document.head.append(script);
    draw();
  }

  ready();
  requestAnimationFrame(() => setTimeout(start, 0));
})();
