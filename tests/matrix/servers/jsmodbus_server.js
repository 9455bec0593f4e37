// A Modbus TCP server on jsmodbus: node jsmodbus_server.js PORT < registers
// It has one buffer of each kind for all units, which ends behind the highest register.

const net = require("net");
const modbus = require("jsmodbus");

const kinds = { 3: [], 4: [] };
for (const [place, word] of require("./registers.js")()) {
  const [, func, register] = place.split(" ").map(Number);
  kinds[func][register] = word;
}

function buffer(words) {
  const held = Buffer.alloc(2 * words.length);
  words.forEach((word, register) => held.writeUInt16BE(word, 2 * register));
  return held;
}

const socket = new net.Server();
new modbus.server.TCP(socket, { holding: buffer(kinds[3]), input: buffer(kinds[4]) });
socket.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
