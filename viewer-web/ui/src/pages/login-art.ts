// The login picture: one line that begins as an electrocardiogram and ends as the slices of a volume.
const GRID_PX = 9;
const gauss = (t: number, mean: number, width: number) => Math.exp(-((t - mean) ** 2) / (2 * width * width));

function grid(x: CanvasRenderingContext2D, w: number, h: number): void {
  x.lineWidth = 1;
  const line = (i: number, x1: number, y1: number, x2: number, y2: number) => {
    x.strokeStyle = i % 5 ? 'rgba(120,190,200,.045)' : 'rgba(120,190,200,.10)';
    x.beginPath();
    x.moveTo(x1, y1);
    x.lineTo(x2, y2);
    x.stroke();
  };
  for (let i = 0; i * GRID_PX < w; i++) line(i, i * GRID_PX, 0, i * GRID_PX, h);
  for (let i = 0; i * GRID_PX < h; i++) line(i, 0, i * GRID_PX, w, i * GRID_PX);
}

function trace(x: CanvasRenderingContext2D, end: number, y0: number): void {
  x.strokeStyle = '#5fbac5';
  x.lineWidth = 2;
  x.lineJoin = 'round';
  x.beginPath();
  for (let p = 0; p <= end; p++) {
    const t = ((p + 30) % 190) / 190;
    const v = 12 * gauss(t, 0.2, 0.03) - 10 * gauss(t, 0.34, 0.012) + 118 * gauss(t, 0.37, 0.013) - 30 * gauss(t, 0.4, 0.013) + 24 * gauss(t, 0.63, 0.05);
    if (p) x.lineTo(p, y0 - v);
    else x.moveTo(p, y0 - v);
  }
  x.stroke();
}

function slices(x: CanvasRenderingContext2D, w: number, start: number, y0: number): void {
  for (let k = 0; k < 13; k++) {
    const cx = start + 20 + (k * (w - start - 120)) / 13;
    const radius = 30 + 118 * Math.sin((0.12 + (0.76 * k) / 12) * Math.PI);
    x.strokeStyle = `rgba(95,186,197,${0.22 + 0.06 * k})`;
    x.lineWidth = 1.3;
    x.beginPath();
    for (let d = 0; d <= 360; d += 4) {
      const q = (d * Math.PI) / 180;
      const r = radius * (1 + 0.04 * Math.sin(3 * q + k * 0.4));
      x.lineTo(cx + r * 0.36 * Math.cos(q), y0 + r * Math.sin(q));
    }
    x.stroke();
    for (const side of [-1, 1]) {
      x.beginPath();
      x.ellipse(cx + radius * 0.1, y0 + side * radius * 0.4, radius * 0.13, radius * 0.3, 0, 0, 6.3);
      x.strokeStyle = `rgba(95,186,197,${0.1 + 0.03 * k})`;
      x.stroke();
    }
  }
}

/** Draws now and after each change of size; returns how to stop. */
export function drawLoginArt(canvas: HTMLCanvasElement): () => void {
  const draw = () => {
    const box = canvas.parentElement?.getBoundingClientRect();
    const x = canvas.getContext('2d');
    if (!box?.width || !x) return;
    canvas.width = box.width;
    canvas.height = box.height;
    grid(x, box.width, box.height);
    trace(x, box.width * 0.46, box.height * 0.46);
    slices(x, box.width, box.width * 0.46, box.height * 0.46);
  };
  draw();
  addEventListener('resize', draw);
  return () => removeEventListener('resize', draw);
}
