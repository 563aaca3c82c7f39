// A ring: the newest values, in a bounded memory.
export class Ring {
  constructor(most) {
    this.most = most;
    this.values = new Array(most);
    this.begin = 0;
    this.length = 0;
  }

  push(value) {
    if (this.length < this.most) {
      this.values[(this.begin + this.length) % this.most] = value;
      this.length += 1;
    } else {
      this.values[this.begin] = value;
      this.begin = (this.begin + 1) % this.most;
    }
  }

  clear() {
    this.values.fill(undefined);
    this.begin = 0;
    this.length = 0;
  }

  /** The newest first. */
  *newest() {
    for (let at = this.length - 1; at >= 0; at -= 1) yield this.values[(this.begin + at) % this.most];
  }

  map(of) {
    const found = new Array(this.length);
    for (let at = 0; at < this.length; at += 1) found[at] = of(this.values[(this.begin + at) % this.most]);
    return found;
  }
}
