// The plots: rates of the last ten minutes, latency of the last minute. Without the chart library a text stands in their place.
import { Ring } from "/dashboard/rings.js";

const BOUNDS = ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1 s", "2 s", "5 s", "more"];
const samples = new Ring(600);
let sampledAt = 0;
let uPlot = null;
let rates = null;
let latencies = null;

/** missing: what the status says is missing of the library; null where nothing is. */
export async function begin(missing) {
  try {
    if (missing) throw new Error(missing);
    uPlot = (await import("/dashboard/vendor/uPlot.esm.js")).default;
  } catch {
    for (const id of ["plot-rate", "plot-latency"]) {
      const box = document.getElementById(id);
      box.classList.add("none");
      box.textContent = "The chart library is missing: migctl dashboard build";
    }
    return;
  }
  draw();
  new ResizeObserver(fit).observe(document.getElementById("plot-rate"));
}

/** A moment's sample of both; of more than one in a second the first. */
export function sample(at, live) {
  if (at - sampledAt < 950) return;
  sampledAt = at;
  samples.push([at / 1000, live?.websocket?.rate_per_s ?? null, live?.realtime?.rate_per_s ?? null]);
  if (rates) rates.setData([0, 1, 2].map((column) => samples.map((one) => one[column])));
  if (latencies) latencies.setData(distribution(live));
}

/** Colours are those of the theme: drawn anew where it changes. */
export function draw() {
  if (!uPlot) return;
  rates?.destroy();
  latencies?.destroy();
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = (more) => ({ stroke: colour("dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "11px system-ui, DejaVu Sans", ...more });
  const size = (id) => ({ width: document.getElementById(id).clientWidth, height: 180 });
  const plain = { legend: { show: false }, cursor: { show: false }, padding: [10, 8, 0, 0] };
  rates = new uPlot({
    ...plain, ...size("plot-rate"), padding: [10, 30, 0, 0], // half a label stands beyond the last tick
    scales: { y: { range: (_, low, high) => [0, Math.max(1, (high ?? 0) * 1.15)] }, x: { range: (_, low, high) => [Math.min(low ?? 0, (high ?? 0) - 120), high ?? 0] } },
    axes: [axis({ values: (_, ticks) => ticks.map((one) => new Date(one * 1000).toISOString().slice(11, 19)), space: 90, size: 30 }), axis({ size: 46 })],
    series: [{}, { stroke: colour("websocket"), width: 2, points: { show: false } }, { stroke: colour("realtime"), width: 2, dash: [6, 4], points: { show: false } }],
  }, [0, 1, 2].map((column) => samples.map((one) => one[column])), document.getElementById("plot-rate"));
  const bars = (align) => uPlot.paths.bars({ size: [0.38, 40], align });
  latencies = new uPlot({
    ...plain, ...size("plot-latency"),
    scales: { x: { time: false, range: [-0.6, BOUNDS.length - 0.4] }, y: { range: (_, low, high) => [0, Math.max(10, (high ?? 0) * 1.15)] } },
    axes: [axis({ splits: () => BOUNDS.map((_, at) => at), values: () => BOUNDS.map((one, at) => (latencies?.width < 420 && at % 2 ? "" : one)), grid: { show: false }, size: 30 }), axis({ size: 46, values: (_, ticks) => ticks.map((one) => `${one} %`) })],
    series: [{}, { stroke: colour("websocket"), fill: colour("websocket"), paths: bars(-1), points: { show: false } }, { stroke: colour("realtime"), fill: colour("realtime"), paths: bars(1), points: { show: false } }],
  }, distribution(null), document.getElementById("plot-latency"));
}

function distribution(live) {
  const share = (name) => {
    const of = live?.[name]?.latency;
    return BOUNDS.map((_, at) => (of?.n ? (100 * of.counts[at]) / of.n : 0));
  };
  return [BOUNDS.map((_, at) => at), share("websocket"), share("realtime")];
}

function fit() {
  for (const [plot, id] of [[rates, "plot-rate"], [latencies, "plot-latency"]]) {
    const width = document.getElementById(id).clientWidth;
    if (plot && width && plot.width !== width) plot.setSize({ width, height: 180 });
  }
}
