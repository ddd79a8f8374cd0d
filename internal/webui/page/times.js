// Times of points, whose distances can differ: walks can be rare, or missing.

const least = 12.5; // seconds between two points up to which there is no gap
const usual = 5; // seconds of the first point

// gaps returns the indexes of the points before which others are missing: the time since the last point is more
// than 2.5 times the distances of the points around it, of which the highest is ignored.
export function gaps(times) {
  const steps = times.map((t, i) => (i > 0 ? t - times[i - 1] : 0)), out = new Set();
  for (let i = 1; i < times.length; i++) {
    const near = [i - 2, i - 1, i + 1, i + 2].filter((k) => k > 0 && k < steps.length).map((k) => steps[k]).sort((a, b) => b - a);
    if (steps[i] > least && near.length > 0 && steps[i] > 2.5 * (near[1] ?? near[0])) out.add(i);
  }
  return out;
}

// withGaps returns the report of a history with a point without values in each gap.
export function withGaps(report) {
  const missing = gaps(report.timestamps_seconds);
  if (missing.size === 0) return {...report, missing};
  const spread = (list, between) => list.flatMap((v, i) => (missing.has(i) ? [between(list[i - 1], v), v] : [v]));
  const marked = spread(report.timestamps_seconds.map(() => false), () => true);
  return {
    ...report,
    timestamps_seconds: spread(report.timestamps_seconds, (a, b) => (a + b) / 2),
    series: report.series.map((s) => ({...s, values: spread(s.values, () => null)})),
    missing: new Set(marked.flatMap((yes, i) => (yes ? [i] : []))),
  };
}

// meanOf returns the mean of the known values from one time to another, or null. As in the means of the exporter, a
// point counts for the time since the point before it.
export function meanOf(values, {timestamps_seconds: times, missing}, from, to) {
  let sum = 0, total = 0, before = times[0] - usual;
  values.forEach((v, i) => {
    if (missing.has(i)) return;
    const weight = v === null ? 0 : Math.max(0, Math.min(times[i], to) - Math.max(before, from));
    sum += weight * v;
    total += weight;
    before = times[i];
  });
  return total > 0 ? sum / total : null;
}
