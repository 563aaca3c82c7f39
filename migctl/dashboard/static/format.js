// Figures as text. null is "none", never a zero.
const whole = new Intl.NumberFormat("en");

export const count = (value) => (value == null ? "none" : whole.format(value));

/** Of a rate: whole from 10 on, as /api/status says it, rounded. */
export const rate = (value) => (value == null ? "none" : value >= 10 ? whole.format(Math.round(value)) : String(Math.round(value * 10) / 10));

/** Three decimals, and never rounded up to a hundred. */
export function percent(value) {
  if (value == null) return "none";
  const near = Math.round(value * 1000) / 1000;
  return String(value < 100 ? Math.min(near, 99.999) : near);
}

export function ms(value) {
  if (value == null) return "none";
  return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : value >= 10 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

export function bytes(value) {
  if (value == null) return "none";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let left = value;
  while (left >= 1024 && at < units.length - 1) {
    left /= 1024;
    at += 1;
  }
  return `${at && left < 100 ? left.toFixed(1) : Math.round(left)} ${units[at]}`;
}

export function lasting(seconds) {
  if (seconds == null || Number.isNaN(seconds)) return "none";
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

export const ago = (moment, now = Date.now()) => (moment ? lasting((now - new Date(moment).getTime()) / 1000) : "none");

export const clock = (moment) => (moment ? new Date(moment).toISOString().slice(11, 23) : "none");
