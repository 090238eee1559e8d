// SPDX-License-Identifier: Apache-2.0
// Draws the charts of one report; all time axes of an aircraft move together.
"use strict";
const flights = JSON.parse(document.getElementById("flight").textContent);
const narrow = () => window.innerWidth < 620;
const touch = window.matchMedia("(pointer: coarse)").matches;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function alpha(hex, opacity) {
  const n = parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16},${(n >> 8) & 255},${n & 255},${opacity})`;
}

// Where a deviation was open; one shade however many were.
function shades(d) {
  const spans = [];
  for (const e of d.events) { // in the order of their start
    const end = e.end_s === null ? d.duration : Math.max(e.end_s, e.start_s + 0.1), last = spans[spans.length - 1];
    if (last && e.start_s <= last[1]) last[1] = Math.max(last[1], end);
    else spans.push([e.start_s, end]);
  }
  const shade = { type: "rect", layer: "below", yref: "paper", y0: 0, y1: 1, line: { width: 0 }, fillcolor: alpha(colour("inconsistent"), 0.07) };
  const start = { type: "line", layer: "below", yref: "paper", y0: 0, y1: 1, line: { width: 1, color: alpha(colour("inconsistent"), 0.55) } };
  return [...spans.map(([x0, x1]) => ({ ...shade, x0, x1 })), ...d.events.map((e) => ({ ...start, x0: e.start_s, x1: e.start_s }))];
}

// One margin for all charts of full width, so that their times stand above each other.
function margin(top, bottom) {
  return narrow() ? { l: 46, r: 8, t: top, b: bottom } : { l: 128, r: 48, t: top, b: bottom };
}

function layout(d, height, y, more = {}) {
  const grid = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line") };
  const { xaxis = {}, yaxis = {}, ...rest } = more;
  return {
    height, autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: margin(26, 30),
    font: { color: colour("muted"), size: 12, family: getComputedStyle(document.body).fontFamily },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
    hovermode: "x unified", dragmode: touch ? false : "zoom", shapes: shades(d),
    legend: { orientation: "h", x: 0, y: 1.0, yanchor: "bottom", font: { color: colour("ink") } },
    xaxis: { ...grid, range: [0, d.duration], ticksuffix: " s", zeroline: false, hoverformat: ".2f", ...xaxis },
    yaxis: { ...grid, title: { text: y, standoff: 6 }, hoverformat: ".2f", ...yaxis },
    ...rest,
  };
}

function line(name, x, y, tint, more = {}) {
  return { type: "scatter", mode: "lines", name, x, y, line: { color: tint, width: 1.6 }, ...more };
}

function dots(name, x, y, tint, size = 4, more = {}) {
  return { type: "scatter", mode: "markers", name, x, y, marker: { color: tint, size }, ...more };
}

function band(t, half, tint) {
  const quiet = { type: "scatter", mode: "lines", x: t, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [
    { ...quiet, y: half.map((v) => (v === null ? null : -v)) },
    { ...quiet, y: half, fill: "tonexty", fillcolor: alpha(tint, 0.12), name: "3 sigma", showlegend: true },
  ];
}

// From low to high, around a curve that is no error.
function corridor(t, low, high, tint, name) {
  const quiet = { type: "scatter", mode: "lines", x: t, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  return [{ ...quiet, y: low }, { ...quiet, y: high, fill: "tonexty", fillcolor: alpha(tint, 0.13), ...(name ? { name, showlegend: true } : {}) }];
}

// Scale to the curve and its surroundings, not to a band that is wide at the start.
function around(...lists) {
  const all = lists.flat().filter((v) => v !== null).map(Math.abs).sort((a, b) => a - b);
  if (!all.length) return {};
  const most = Math.max(all[all.length - 1] * 1.15, 0.3);
  return { range: [-most, most] };
}

const charts = {
  verdicts(d) {
    const rows = d.verdicts.filter((r) => r.runs.some((run) => run.verdict !== "unknown"));
    const traces = ["consistent", "inconsistent", "unknown"].map((verdict) => {
      const bars = { type: "bar", orientation: "h", name: verdict, base: [], x: [], y: [], customdata: [],
        width: 0.66, marker: { color: colour(verdict), line: { width: 0 } }, showlegend: false,
        hovertemplate: "%{customdata}<extra></extra>" };
      rows.forEach((row, i) => row.runs.forEach((run) => {
        if (run.verdict !== verdict) return;
        bars.base.push(run.begin); bars.x.push(run.end - run.begin); bars.y.push(i);
        bars.customdata.push(`${row.factor} (${row.requirement}): ${verdict}<br>${run.begin.toFixed(1)} to ${run.end.toFixed(1)} s`);
      }));
      return bars;
    });
    // a deviation begins when what the check saw began, so before the check could fail
    const marks = d.events.map((e) => {
      const y = rows.findIndex((r) => r.requirement === e.requirement) + 0.43;
      return { type: "line", x0: e.start_s, x1: e.end_s === null ? d.duration : e.end_s, y0: y, y1: y, line: { color: colour("inconsistent"), width: 3 } };
    });
    return [traces, layout(d, 46 + 22 * Math.max(rows.length, 1), "", {
      barmode: "overlay", hovermode: "closest", shapes: marks, bargap: 0,
      margin: { ...margin(4, 30), ...(narrow() ? { l: 112 } : {}) },
      yaxis: { tickvals: rows.map((_, i) => i), ticktext: rows.map((r) => r.factor + " "), range: [rows.length - 0.5, -0.5],
        showgrid: false, zeroline: false, fixedrange: true, tickfont: { color: colour("ink"), size: narrow() ? 11 : 12 } },
    })];
  },
  track(d) {
    const traces = [
      dots("GNSS", d.gnss.east, d.gnss.north, colour("gnss"), 4, { hoverinfo: "skip" }),
      line("PX4", d.px4.east, d.px4.north, colour("px4"), { text: d.px4.t }),
      line("twin", d.twin.east, d.twin.north, colour("twin"), { text: d.twin.t }),
    ];
    if (d.truth) traces.push(line("truth", d.truth.east, d.truth.north, colour("truth"), { line: { color: colour("truth"), width: 1.2, dash: "dot" }, text: d.truth.t }));
    for (const t of traces) t.hovertemplate = "%{y:.2f} m north, %{x:.2f} m east, %{text:.1f} s";
    traces.push({ type: "scatter", mode: "markers", x: [null], y: [null], showlegend: false, hoverinfo: "skip",
      marker: { color: colour("twin"), size: 12, line: { color: colour("card"), width: 2 } } });
    const known = traces.some((t) => t.x.some((v) => v !== null));
    if (!known) return null;
    return [traces, layout(d, 380, "north [m]", { hovermode: "closest", shapes: [], dragmode: touch ? false : "zoom",
      xaxis: { range: undefined, autorange: true, ticksuffix: "", title: { text: "east [m]", standoff: 6 } },
      yaxis: { scaleanchor: "x" }, margin: { l: 50, r: 10, t: 26, b: 42 } })];
  },
  height(d) {
    const up = d.twin.height.map((v, i) => v + 3 * d.twin.height_sigma[i]);
    const down = d.twin.height.map((v, i) => v - 3 * d.twin.height_sigma[i]);
    const quiet = { type: "scatter", mode: "lines", x: d.twin.t, line: { width: 0 }, hoverinfo: "skip" };
    const traces = [
      { ...quiet, y: down, showlegend: false },
      { ...quiet, y: up, fill: "tonexty", fillcolor: alpha(colour("twin"), 0.12), name: "3 sigma" },
      dots("GNSS", d.gnss.t, d.gnss.height, colour("gnss"), 3.5),
      line("barometer", d.baro.t, d.baro.height, colour("baro"), { line: { color: colour("baro"), width: 1 } }),
      line("PX4", d.px4.t, d.px4.height, colour("px4")),
      line("twin", d.twin.t, d.twin.height, colour("twin")),
    ].filter((t) => t.x.length);
    if (d.truth) traces.push(line("truth", d.truth.t, d.truth.height, colour("truth"), { line: { color: colour("truth"), width: 1.2, dash: "dot" } }));
    const all = [d.twin.height, d.px4.height].flat().filter((v) => v !== null);
    const low = Math.min(...all), high = Math.max(...all), pad = Math.max(1, 0.25 * (high - low));
    const range = all.length ? { range: [low - pad, high + pad] } : {};
    return [traces, layout(d, 380, "height [m]", { yaxis: range, margin: { l: 50, r: 10, t: 26, b: 42 } })];
  },
  residual_xy(d) {
    const r = d.residual;
    if (!r.t.length) return null;
    return [[...band(r.t, r.band_xy, colour("twin")), line("north", r.t, r.north, colour("a")), line("east", r.t, r.east, colour("b"))],
      layout(d, 230, "horizontal [m]", { yaxis: around(r.north, r.east, quantile(r.band_xy, 0.8)) })];
  },
  residual_z(d) {
    const r = d.residual;
    if (!r.t.length) return null;
    return [[...band(r.t, r.band_z, colour("twin")), line("up", r.t, r.height, colour("c"))],
      layout(d, 190, "vertical [m]", { yaxis: around(r.height, quantile(r.band_z, 0.8)) })];
  },
  residual_v(d) {
    const r = d.residual;
    if (!r.t.length) return null;
    return [[...band(r.t, r.band_v, colour("twin")), line("north", r.t, r.v_north, colour("a")), line("east", r.t, r.v_east, colour("b")),
      line("up", r.t, r.v_up, colour("c"))], layout(d, 210, "velocity [m/s]", { yaxis: around(r.v_north, r.v_east, r.v_up) })];
  },
  truth(d) {
    if (!d.truth) return null;
    return [[line("PX4", d.truth.t, d.truth.px4_error, colour("px4")), line("twin", d.truth.t, d.truth.twin_error, colour("twin"))],
      layout(d, 220, "error [m]", { yaxis: { rangemode: "tozero" } })];
  },
  innovations(d) {
    const tints = ["a", "b", "c", "px4", "twin"].map(colour);
    const traces = d.innovations.map((s, i) => dots(s.source, s.t, s.ratio, tints[i % 5], 4, {
      marker: { color: tints[i % 5], size: s.fused.map((f) => (f ? 3.5 : 7)), symbol: s.fused.map((f) => (f ? "circle" : "x-thin")),
        line: { color: tints[i % 5], width: s.fused.map((f) => (f ? 0 : 1.5)) } },
    }));
    if (!traces.length) return null;
    const gate = { type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: { color: colour("inconsistent"), width: 1, dash: "dash" } };
    return [traces, layout(d, 260, "NIS / gate", { hovermode: "closest", shapes: [...shades(d), gate],
      yaxis: { type: "log", dtick: 1, exponentformat: "power" } })];
  },
  attitude(d) {
    const a = d.attitude;
    const traces = ["roll", "pitch", "yaw"].flatMap((name, i) => {
      const tint = colour("abc"[i]);
      return [line(name, a.t, a[name], tint), dots("PX4", a.px4_t, a["px4_" + name], alpha(tint, 0.45), 3, { showlegend: false })];
    });
    return [traces, layout(d, 280, "angle [deg]", { yaxis: { hoverformat: ".1f" } })];
  },
  modes(d) {
    if (!d.modes.length) return null;
    const rows = ["mode", "ground"];
    const tint = (m) => (m.failsafe ? colour("inconsistent") : m.row === "ground" ? (m.landed ? colour("unknown") : colour("b"))
      : m.armed ? colour("twin") : colour("unknown"));
    const bars = { type: "bar", orientation: "h", showlegend: false, width: 0.72, insidetextanchor: "middle", textposition: "inside",
      constraintext: "inside", base: d.modes.map((m) => m.begin), x: d.modes.map((m) => m.end - m.begin),
      y: d.modes.map((m) => rows.indexOf(m.row)), text: d.modes.map((m) => m.mode),
      customdata: d.modes.map((m) => `${m.mode}${m.failsafe ? ", failsafe" : ""}${m.row === "mode" ? (m.armed ? ", armed" : ", disarmed") : ""}<br>${m.begin.toFixed(1)} to ${m.end.toFixed(1)} s`),
      hovertemplate: "%{customdata}<extra></extra>",
      marker: { color: d.modes.map(tint), line: { color: colour("card"), width: 1 } } };
    return [[bars], layout(d, 92, "", { hovermode: "closest", shapes: [], barmode: "overlay", margin: margin(2, 26),
      yaxis: { tickvals: [0, 1], ticktext: rows.map((r) => r + " "), range: [1.5, -0.5], showgrid: false, zeroline: false, fixedrange: true } })];
  },
  wind(d) {
    const w = d.wind;
    if (!w.t.length) return null;
    const traces = ["north", "east"].flatMap((name, i) => {
      const tint = colour("ab"[i]);
      return [...corridor(w.t, w[name + "_low"], w[name + "_high"], tint), line(name, w.t, w[name], tint, { line: { color: tint, width: 2 } }),
        line(name + ", unsure", w.t, w[name + "_unsure"], tint, { line: { color: alpha(tint, 0.6), width: 1.2, dash: "dot" }, showlegend: false })];
    });
    const sure = [...w.north, ...w.east].filter((v) => v !== null);
    const shown = sure.length ? sure : [...w.north_unsure, ...w.east_unsure].filter((v) => v !== null);
    const low = Math.min(0, ...shown), high = Math.max(0, ...shown), pad = Math.max(1.5, 0.3 * (high - low));
    return [traces, layout(d, 240, "wind [m/s]", { yaxis: { range: [low - pad, high + pad], zeroline: true } })];
  },
  identified(d) {
    if (!d.identified.length) return null;
    const tints = ["twin", "a", "b", "c", "px4", "baro", "gnss"].map(colour);
    const traces = d.identified.flatMap((p, i) => {
      const tint = tints[i % tints.length];
      return [...corridor(p.t, p.low, p.high, tint), line(p.name, p.t, p.deviation, tint)];
    });
    const ends = d.identified.flatMap((p) => p.deviation.slice(-Math.ceil(p.deviation.length / 2))).filter((v) => v !== null).map(Math.abs);
    const most = Math.max(10, 1.4 * Math.max(0, ...ends));
    return [traces, layout(d, 250, "change [%]", { yaxis: { range: [-most, most], zeroline: true, ticksuffix: " %" } })];
  },
  endurance(d) {
    const e = d.endurance;
    if (!e.t.length) return null;
    return [[...corridor(e.t, e.low, e.high, colour("b"), "95 %"), line("time to empty", e.t, e.minutes, colour("b"), { line: { color: colour("b"), width: 2 } })],
      layout(d, 200, "to empty [min]", { yaxis: { rangemode: "tozero" } })];
  },
  health(d) {
    if (!d.health.length) return null;
    const traces = ["good", "noisy", "rejected", "stuck", "recovered", "missing"].map((health) => {
      const bars = { type: "bar", orientation: "h", name: health, base: [], x: [], y: [], customdata: [], width: 0.66,
        marker: { color: colour(health), line: { width: 0 } }, showlegend: false, hovertemplate: "%{customdata}<extra></extra>" };
      d.health.forEach((row, i) => row.runs.forEach((run) => {
        if (run.health !== health) return;
        bars.base.push(run.begin); bars.x.push(run.end - run.begin); bars.y.push(i);
        bars.customdata.push(`${row.source}: ${health}<br>${run.begin.toFixed(1)} to ${run.end.toFixed(1)} s`);
      }));
      return bars;
    });
    const said = { type: "scatter", mode: "markers", x: d.notices.map((n) => n.t), y: d.notices.map(() => -0.75), customdata: d.notices.map((n) => n.text),
      marker: { symbol: "triangle-down", size: 9, color: colour("ink") }, showlegend: false, hovertemplate: "%{customdata}<extra></extra>" };
    return [[...traces, said], layout(d, 52 + 22 * d.health.length, "", {
      barmode: "overlay", hovermode: "closest", shapes: [], bargap: 0, margin: { ...margin(4, 30), ...(narrow() ? { l: 112 } : {}) },
      yaxis: { tickvals: d.health.map((_, i) => i), ticktext: d.health.map((r) => r.source + " "), range: [d.health.length - 0.5, -1.0],
        showgrid: false, zeroline: false, fixedrange: true, tickfont: { color: colour("ink"), size: narrow() ? 11 : 12 } },
    })];
  },
  battery(d) {
    const b = d.battery;
    if (!b.t.some((_, i) => b.voltage[i] !== null)) return null;
    const traces = [line("voltage", b.t, b.voltage, colour("b"))];
    const more = {};
    if (b.remaining.some((v) => v !== null)) {
      traces.push(line("remaining", b.t, b.remaining.map((v) => (v === null ? null : 100 * v)), colour("a"), { yaxis: "y2", line: { color: colour("a"), width: 1.2, dash: "dot" } }));
      more.yaxis2 = { overlaying: "y", side: "right", range: [0, 104], tickmode: "array", tickvals: [0, 50, 100], ticktext: ["0 %", "50 %", "100 %"], showgrid: false, zeroline: false };
    }
    return [traces, layout(d, 190, "battery [V]", more)];
  },
};

function quantile(values, share) {
  const all = values.filter((v) => v !== null).sort((a, b) => a - b);
  return all.length ? [all[Math.floor(share * (all.length - 1))]] : [];
}

function follow(chapter, d, times) {
  let busy = false;
  const track = chapter.querySelector('[data-chart="track"]');
  function zoom(range, from) {
    if (busy) return;
    busy = true;
    Promise.all(times.filter((g) => g !== from).map((g) => Plotly.relayout(g, { "xaxis.range": range.slice(), "xaxis.autorange": false })))
      .finally(() => { busy = false; });
  }
  function point(x) {
    for (const g of times) {
      const cross = g.querySelector(".cross"), full = g._fullLayout;
      if (x === null) { cross.style.display = "none"; continue; }
      const p = full.xaxis.l2p(x);
      const inside = p >= 0 && p <= full._size.w;
      Object.assign(cross.style, { display: inside ? "block" : "none", left: full._size.l + p + "px", top: full._size.t + "px", height: full._size.h + "px" });
    }
    if (track && track.data && x !== null && d.twin.t.length) {
      let i = d.twin.t.findIndex((t) => t >= x);
      if (i < 0) i = d.twin.t.length - 1;
      Plotly.restyle(track, { x: [[d.twin.east[i]]], y: [[d.twin.north[i]]] }, [track.data.length - 1]);
    }
  }
  let waiting = false;
  for (const g of times) {
    g.on("plotly_relayout", (e) => {
      if (e["xaxis.range[0]"] !== undefined) zoom([e["xaxis.range[0]"], e["xaxis.range[1]"]], g);
    });
    g.on("plotly_doubleclick", () => { zoom([0, d.duration], null); });
    g.addEventListener("mousemove", (e) => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        const full = g._fullLayout, p = e.clientX - g.getBoundingClientRect().left - full._size.l;
        point(p >= 0 && p <= full._size.w ? full.xaxis.p2l(p) : null);
      });
    });
    g.addEventListener("mouseleave", () => point(null));
  }
  for (const row of chapter.querySelectorAll(".events tbody tr")) {
    const go = () => {
      const begin = +row.dataset.begin, end = +row.dataset.end, pad = Math.max(3, 0.3 * (end - begin));
      zoom([Math.max(0, begin - pad), Math.min(d.duration, end + pad)], null);
      chapter.querySelector('[data-chart="verdicts"]').scrollIntoView({ behavior: "smooth", block: "start" });
    };
    row.addEventListener("click", go);
    row.addEventListener("keydown", (e) => { if (e.key === "Enter") go(); });
  }
}

function draw(chapter) {
  const d = flights[+chapter.dataset.index], times = [];
  if (d.truth) chapter.querySelector(".truth").hidden = false;
  const silent = d.verdicts.filter((r) => r.runs.every((run) => run.verdict === "unknown"));
  if (silent.length) chapter.querySelector(".silent").textContent = "Without any evidence throughout: " + silent.map((r) => r.factor).join(", ") + ".";
  for (const div of chapter.querySelectorAll(".chart")) {
    const made = charts[div.dataset.chart](d);
    if (!made) {
      div.innerHTML = ["identified", "endurance"].includes(div.dataset.chart) ? "" : '<p class="none">No data.</p>';
      continue;
    }
    Plotly.newPlot(div, made[0], made[1], { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: div.classList.contains("time") ? false : "reset" });
    if (div.classList.contains("time")) {
      const cross = document.createElement("div");
      cross.className = "cross";
      div.appendChild(cross);
      times.push(div);
    }
  }
  follow(chapter, d, times);
}

function recolour() {
  for (const div of document.querySelectorAll(".chart.js-plotly-plot")) {
    const d = flights[+div.closest(".chapter").dataset.index];
    const made = charts[div.dataset.chart](d);
    Plotly.react(div, made[0], made[1]);
  }
}

// A chapter is drawn when it comes near the screen: many aircraft open as quickly as one.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "800px" });
document.querySelectorAll(".chapter").forEach((chapter) => seen.observe(chapter));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
