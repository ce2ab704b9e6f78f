// Keys for a guest: combinations that a browser would catch, and text typed as on a US keyboard, the one QEMU assumes.
const NAMED = {
  Ctrl: [0xffe3, "ControlLeft"], Alt: [0xffe9, "AltLeft"], Shift: [0xffe1, "ShiftLeft"], Win: [0xffeb, "MetaLeft"],
  Del: [0xffff, "Delete"], Tab: [0xff09, "Tab"], Esc: [0xff1b, "Escape"], Enter: [0xff0d, "Enter"],
  Backspace: [0xff08, "Backspace"], Print: [0xff61, "PrintScreen"], SysRq: [0xff15, "PrintScreen"],
  Pause: [0xff13, "Pause"], Insert: [0xff63, "Insert"],
};
for (let n = 1; n <= 12; n += 1) NAMED[`F${n}`] = [0xffbd + n, `F${n}`];

// The key of each printable character, and whether it needs Shift.
const PRINTED = {};
const row = (codes, plain, shifted) => codes.forEach((code, n) => {
  PRINTED[plain[n]] = [code, false];
  PRINTED[shifted[n]] = [code, true];
});
const letters = "abcdefghijklmnopqrstuvwxyz";
row([...letters].map((c) => `Key${c.toUpperCase()}`), letters, letters.toUpperCase());
row([..."1234567890"].map((c) => `Digit${c}`), "1234567890", "!@#$%^&*()");
row(["Backquote", "Minus", "Equal", "BracketLeft", "BracketRight", "Backslash", "Semicolon", "Quote", "Comma", "Period", "Slash"],
  "`-=[]\\;',./", "~_+{}|:\"<>?");
PRINTED[" "] = ["Space", false];

const PAUSE_MS = 12;
const pause = () => new Promise((done) => setTimeout(done, PAUSE_MS));

// Presses a combination such as "Ctrl Alt Del" and lets go in the opposite order.
export function press(rfb, combination) {
  const keys = combination.split(" ").map((name) => NAMED[name] ?? [name.charCodeAt(0), `Key${name.toUpperCase()}`]);
  for (const [symbol, code] of keys) rfb.sendKey(symbol, code, true);
  for (const [symbol, code] of keys.reverse()) rfb.sendKey(symbol, code, false);
}

// Types text; answers how many characters no key stands for. A guest loses keys that come too fast.
export async function type(rfb, text) {
  let left = 0;
  const [shift, shiftCode] = NAMED.Shift;
  for (const character of text.replaceAll("\r\n", "\n")) {
    const named = character === "\n" ? NAMED.Enter : character === "\t" ? NAMED.Tab : null;
    const printed = PRINTED[character];
    if (named) {
      rfb.sendKey(...named);
    } else if (printed) {
      const [code, shifted] = printed;
      if (shifted) rfb.sendKey(shift, shiftCode, true);
      rfb.sendKey(character.charCodeAt(0), code);
      if (shifted) rfb.sendKey(shift, shiftCode, false);
    } else {
      left += 1;
    }
    await pause();
  }
  return left;
}
