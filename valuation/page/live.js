// Moves the answer in the page: reads the embedded draws, and follows the controls. No library, no network.
(() => {
  "use strict";
  const held = document.getElementById("live-data");
  const panel = document.getElementById("live-controls");
  if (!held || !panel) return;
  const { data, names, strategic, shipped, currency } = JSON.parse(held.textContent);
  const nodes = data.nodes;
  const STEPS = 65535;
  const at = (id) => document.getElementById(`live-${id}`);

  const decoded = (column, draws) => {
    const values = new Float64Array(draws).fill(column.low);
    if (!column.data) return values;
    const bytes = Uint8Array.from(atob(column.data), (c) => c.charCodeAt(0));
    const step = (column.high - column.low) / STEPS;
    for (let i = 0; i < draws; i++) values[i] += step * (bytes[2 * i] + 256 * bytes[2 * i + 1]);
    return values;
  };
  const sets = {};
  for (const [name, set] of Object.entries(data.sets)) {
    const columns = {};
    for (const [key, column] of Object.entries(set.columns)) columns[key] = decoded(column, set.draws);
    const weight = columns.weight || new Float64Array(set.draws).fill(1);
    const total = weight.reduce((sum, w) => sum + w, 0);
    sets[name] = { ...set, columns, weight: weight.map((w) => w / total) };
  }

  // Weights of the nodes at a rate: the polynomial through them.
  const lagrange = (rate) =>
    nodes.map((own, j) =>
      nodes.reduce((product, other, k) => (k === j ? product : (product * (rate - other)) / (own - other)), 1));

  const worth = (set, s, rate, stakeRate) => {
    const share = lagrange(rate);
    const out = new Float64Array(set.draws);
    const sold = (1 + stakeRate) ** -data.exit_years * s.scale * (s.strategic || !data.stake_strategic ? 1 : 0);
    for (let i = 0; i < set.draws; i++) out[i] = sold * set.columns.stake[i];
    nodes.forEach((_, k) => {
      const plain = set.columns[`plain ${k}`];
      const extra = set.columns[`strategic ${k}`];
      for (let i = 0; i < set.draws; i++) out[i] += share[k] * (plain[i] + (s.strategic ? extra[i] : 0));
    });
    return out;
  };
  const chanceOf = (set, values, meets) => values.reduce((sum, v, i) => sum + (meets(v) ? set.weight[i] : 0), 0);
  const clipped = (p) => Math.min(1, Math.max(0, p));

  const terms = {
    rate: data.rate, stakeRate: data.stake_rate, hurdle: data.hurdle, scale: 1, strategic: true,
    mix: Object.fromEntries(Object.keys(sets).map((name) => [name, name === data.own ? 1 : 0])),
  };
  for (const set of Object.values(sets)) {
    set.atShipped = chanceOf(set, worth(set, terms, terms.rate, terms.stakeRate), (v) => v > 0);
    set.atHurdle = chanceOf(set, worth(set, terms, terms.hurdle, terms.hurdle), (v) => v >= 0);
  }

  // The answer at terms; thinned draws only tell what the terms change.
  const answer = (s) => {
    const parts = {};
    let chance = 0, reached = 0;
    const pooled = [];
    for (const [name, set] of Object.entries(sets)) {
      const mix = s.mix[name];
      if (!mix) continue;
      const values = worth(set, s, s.rate, s.stakeRate);
      chance += mix * clipped(chanceOf(set, values, (v) => v > 0) + set.chance - set.atShipped);
      const flat = worth(set, s, s.hurdle, s.hurdle);
      reached += mix * clipped(chanceOf(set, flat, (v) => v >= 0) + set.reached - set.atHurdle);
      values.forEach((v, i) => pooled.push([v, mix * set.weight[i]]));
      const share = lagrange(s.rate);
      for (const part of Object.keys(names)) {
        let mean;
        if (part === "stake") mean = set.stake * s.scale * (1 + s.stakeRate) ** -data.exit_years;
        else mean = set.components[part].reduce((sum, v, k) => sum + share[k] * v, 0);
        if (!s.strategic && strategic.includes(part)) mean = 0;
        parts[part] = (parts[part] || 0) + mix * mean;
      }
    }
    pooled.sort((a, b) => a[0] - b[0]);
    const quantile = (q) => {
      let sum = 0;
      for (const [v, w] of pooled) if ((sum += w) >= q - 1e-12) return v;
      return pooled[pooled.length - 1][0];
    };
    const mean = Object.values(parts).reduce((sum, v) => sum + v, 0);
    return { chance, reached, parts, mean, median: quantile(0.5), lower: quantile(0.05), upper: quantile(0.95) };
  };

  const fixed = (x, digits = 1) => {
    const text = Math.abs(x).toFixed(digits);
    return (x < 0 && Number(text) !== 0 ? "\u2212" : "") + text;
  };
  const signed = (x) => (Number(Math.abs(x).toFixed(1)) === 0 ? "0.0" : (x > 0 ? "+" : "") + fixed(x));
  const money = (x) => `${x < 0 ? "\u2212" : ""}${currency} ${fixed(Math.abs(x))} bn`;
  const percent = (p) => `${fixed(100 * p)}%`;

  const read = () => {
    const number = (id, other) => (at(id) ? Number(at(id).value) : other);
    const raw = Object.keys(sets).map((name) => number(`set-${name}`, name === data.own ? 100 : 0));
    const total = raw.reduce((sum, w) => sum + w, 0);
    return {
      // A control that was not touched stands for the exact term, not for its rounded place on the scale.
      rate: touched.has("rate") ? number("rate") / 100 : data.rate,
      stakeRate: touched.has("stake") ? number("stake") / 100 : data.stake_rate,
      hurdle: touched.has("hurdle") ? number("hurdle") / 100 : data.hurdle,
      scale: touched.has("multiple") ? number("multiple") / data.multiple : 1,
      strategic: at("strategic") ? at("strategic").checked : true,
      mix: Object.fromEntries(Object.keys(sets).map((name, j) =>
        [name, total > 0 ? raw[j] / total : name === data.own ? 1 : 0])),
    };
  };
  const touched = new Set();
  const controls = [...panel.querySelectorAll("input")];
  const first = new Map(controls.map((c) => [c, c.type === "checkbox" ? c.checked : c.value]));

  const show = () => {
    const s = read();
    const found = answer(s);
    const moved = touched.size > 0;
    at("answer").textContent =
      `At ${moved ? "these" : "the shipped"} terms the net present value is above 0 in ${percent(found.chance)} of draws. ` +
      `Its median is ${money(found.median)}, its mean ${money(found.mean)}, its central 90% ${money(found.lower)} to ` +
      `${money(found.upper)}. The return reaches ${percent(s.hurdle)} a year in ${percent(found.reached)} of draws.` +
      (moved ? ` Shipped: ${percent(shipped.chance)} and ${money(shipped.median)}.` : "");
    for (const c of controls) {
      const said = document.getElementById(`${c.id}-said`);
      if (!said) continue;
      const name = c.id.replace("live-set-", "");
      said.textContent = name in sets ? percent(s.mix[name]) : `${fixed(Number(c.value))} ${c.dataset.unit}`;
    }
    const rows = [...document.querySelectorAll("#live-parts tbody tr")];
    let running = 0;
    const spans = rows.map((row) => {
      const part = row.dataset.part;
      const value = part ? found.parts[part] || 0 : found.mean;
      const from = part ? running : 0;
      if (part) running += value;
      return { row, value, from, to: from + value };
    });
    const low = Math.min(0, ...spans.flatMap((p) => [p.from, p.to]));
    const high = Math.max(0, ...spans.flatMap((p) => [p.from, p.to]));
    const place = (x) => (100 * (x - low)) / (high - low || 1);
    for (const { row, value, from, to } of spans) {
      row.cells[1].textContent = signed(value);
      const bar = row.querySelector(".vl-bar");
      bar.style.left = `${place(Math.min(from, to))}%`;
      bar.style.width = `${Math.max(0.3, Math.abs(place(to) - place(from)))}%`;
      bar.dataset.sign = row.dataset.part ? (value < 0 ? "loss" : "gain") : "total";
    }
  };

  panel.addEventListener("input", (event) => {
    touched.add(event.target.id.replace("live-", ""));
    show();
  });
  at("reset").addEventListener("click", () => {
    touched.clear();
    for (const [control, value] of first) {
      if (control.type === "checkbox") control.checked = value;
      else control.value = value;
    }
    show();
  });
  panel.hidden = false;
  show();
})();
