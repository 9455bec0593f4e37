// Registers from standard input, lines of UNIT FUNCTION ADDRESS WORD..., words in hex.

const fs = require("fs");

module.exports = function registers() {
  const held = new Map(); // "unit function register" -> word
  for (const line of fs.readFileSync(0, "utf8").split("\n")) {
    const [unit, func, address, ...words] = line.trim().split(/\s+/);
    words.forEach((word, index) => {
      held.set(`${unit} ${func} ${Number(address) + index}`, parseInt(word, 16));
    });
  }
  return held;
};
