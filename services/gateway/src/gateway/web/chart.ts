import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { digits } from "./dom";

export interface Series {
  steps: number[];
  /** RMSE at each step, in `unit`. */
  values: number[];
  /** RMSE before training, in `unit`. */
  zeroShot: number | null;
  unit: string;
  totalSteps: number;
}

/** Round numbers: 1, 2 and 5 times powers of ten, more of them within one decade. */
function logTicks(low: number, high: number): number[] {
  const factors = high > 8 * low ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks: number[] = [];
  for (let decade = Math.floor(Math.log10(low)); 10 ** decade <= high; decade++) {
    for (const factor of factors) {
      const tick = factor * 10 ** decade;
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

const thousands = (step: number) => (step >= 10_000 ? `${+(step / 1000).toFixed(1)}k` : step.toLocaleString("en"));

/** A live RMSE curve on a logarithmic axis, with the error before training as a dashed line. */
export class Curve {
  private plot?: uPlot;
  private waiting = false;
  private readonly resize: ResizeObserver;
  private readonly redraw = () => this.draw();

  constructor(private readonly box: HTMLElement, private series: Series) {
    this.draw();
    this.resize = new ResizeObserver(() => this.plot?.setSize({ width: box.clientWidth, height: box.clientHeight }));
    this.resize.observe(box);
    document.documentElement.addEventListener("themechange", this.redraw);
  }

  show(series: Series): void {
    this.series = series;
    this.draw();
  }

  push(step: number, value: number): void {
    const { steps, values } = this.series;
    // A run that resumed reports steps again: the later report counts.
    while (steps.length && steps[steps.length - 1]! >= step) {
      steps.pop();
      values.pop();
    }
    steps.push(step);
    values.push(value);
    if (this.waiting) return; // at most one redraw a frame, however fast events come
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.plot?.setData([steps, values]);
    });
  }

  destroy(): void {
    this.resize.disconnect();
    document.documentElement.removeEventListener("themechange", this.redraw);
    this.plot?.destroy();
  }

  /** A token's colour as canvas takes it: light-dark() and oklch() resolved. */
  private colour(token: string): string {
    const probe = document.createElement("i");
    probe.style.color = `var(${token})`;
    this.box.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  }

  private draw(): void {
    this.plot?.destroy();
    this.box.replaceChildren();
    const { steps, values } = this.series;
    const stroke = this.colour("--series");
    this.plot = new uPlot(
      {
        width: this.box.clientWidth,
        height: this.box.clientHeight,
        padding: [10, 18, 0, 2],
        legend: { show: false },
        cursor: { y: false, points: { size: 7, fill: stroke, stroke }, drag: { x: true, y: false } },
        scales: {
          x: { time: false, range: () => [0, this.series.totalSteps] },
          y: { distr: 3, log: 10, range: (_plot, low, high) => this.range(low, high) },
        },
        axes: this.axes(),
        series: [{}, { stroke, width: 2.25, points: { show: steps.length < 30, size: 5, fill: stroke } }],
        plugins: [this.zeroShotLine(), this.newestPoint(stroke), this.tooltip()],
      },
      [steps, values],
      this.box,
    );
  }

  private range(low: number, high: number): [number, number] {
    const zeroShot = this.series.zeroShot;
    const bottom = zeroShot ? Math.min(low, zeroShot) : low;
    const top = zeroShot ? Math.max(high, zeroShot) : high;
    return [bottom * 0.85, top * 1.15];
  }

  private axes(): uPlot.Axis[] {
    const font = `12px ${getComputedStyle(this.box).fontFamily}`;
    const common: uPlot.Axis = { stroke: this.colour("--ink-3"), font, ticks: { show: false }, gap: 6 };
    return [
      { ...common, grid: { show: false }, values: (_plot, ticks) => ticks.map(thousands), size: 30, space: 64 },
      {
        ...common,
        grid: { stroke: this.colour("--line"), width: 1 },
        size: 44,
        splits: (_plot, _axis, low, high) => logTicks(low, high),
        filter: (_plot, ticks) => ticks, // uPlot would drop labels that are no powers of ten
        values: (_plot, ticks) => ticks.map((tick) => (+tick.toPrecision(2)).toLocaleString("en")),
      },
    ];
  }

  private zeroShotLine(): uPlot.Plugin {
    const stroke = this.colour("--reference");
    const drawAxes = (plot: uPlot) => {
      if (this.series.zeroShot === null) return;
      const y = plot.valToPos(this.series.zeroShot, "y", true);
      const { left, width } = plot.bbox;
      const pixels = devicePixelRatio;
      plot.ctx.save();
      plot.ctx.strokeStyle = stroke;
      plot.ctx.lineWidth = 1.5 * pixels;
      plot.ctx.setLineDash([5 * pixels, 4 * pixels]);
      plot.ctx.beginPath();
      plot.ctx.moveTo(left, y);
      plot.ctx.lineTo(left + width, y);
      plot.ctx.stroke();
      plot.ctx.restore();
    };
    return { hooks: { drawAxes } };
  }

  private newestPoint(fill: string): uPlot.Plugin {
    const draw = (plot: uPlot) => {
      const { steps, values } = this.series;
      if (!steps.length) return;
      const x = plot.valToPos(steps[steps.length - 1]!, "x", true);
      const y = plot.valToPos(values[values.length - 1]!, "y", true);
      const disc = (radius: number, alpha: number) => {
        plot.ctx.globalAlpha = alpha;
        plot.ctx.beginPath();
        plot.ctx.arc(x, y, radius * devicePixelRatio, 0, 2 * Math.PI);
        plot.ctx.fill();
      };
      plot.ctx.save();
      plot.ctx.fillStyle = fill;
      disc(8, 0.18);
      disc(3.4, 1);
      plot.ctx.restore();
    };
    return { hooks: { draw } };
  }

  private tooltip(): uPlot.Plugin {
    const tip = document.createElement("div");
    tip.className = "u-tip";
    const hide = () => (tip.style.display = "none");
    const init = (plot: uPlot) => {
      plot.over.append(tip);
      plot.over.addEventListener("mouseleave", hide);
    };
    const setCursor = (plot: uPlot) => {
      const { idx, left = -1, top = 0 } = plot.cursor;
      const value = idx == null ? undefined : this.series.values[idx];
      if (idx == null || left < 0 || value === undefined) return void hide();
      const number = document.createElement("b");
      number.textContent = `${digits(value)} ${this.series.unit}`;
      tip.replaceChildren(`${this.series.steps[idx]!.toLocaleString("en")} · `, number);
      tip.style.display = "block";
      const width = tip.offsetWidth;
      tip.style.left = `${left + 14 + width > plot.over.clientWidth ? left - width - 14 : left + 14}px`;
      tip.style.top = `${Math.max(0, top - 40)}px`;
    };
    return { hooks: { init, setCursor } };
  }
}
