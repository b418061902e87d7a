// Takes the microphone's samples down to 16,000 a second as 16-bit numbers: two averages over the time of an output sample, which
// keep what lies above from folding down, then the sample in between.
const HZ = 16000;
registerProcessor("voice", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / HZ;
    const width = Math.max(1, Math.round(this.step));
    this.averages = [0, 1].map(() => ({ ring: new Float32Array(width), at: 0, sum: 0 }));
    [this.position, this.before, this.out] = [0, 0, []];
  }
  average(of, sample) {
    of.sum += sample - of.ring[of.at];
    of.ring[of.at] = sample;
    of.at = (of.at + 1) % of.ring.length;
    return of.sum / of.ring.length;
  }
  process([[samples]]) {
    for (const sample of samples ?? []) {
      const smooth = this.averages.reduce((value, of) => this.average(of, value), sample);
      while (this.position < 1) {
        const between = this.before + (smooth - this.before) * this.position;
        this.out.push(Math.max(-1, Math.min(1, between)) * 32767);
        this.position += this.step;
      }
      this.position -= 1;
      this.before = smooth;
    }
    if (this.out.length >= HZ / 10) {
      const piece = Int16Array.from(this.out);
      this.out = [];
      this.port.postMessage(piece.buffer, [piece.buffer]);
    }
    return true;
  }
});
