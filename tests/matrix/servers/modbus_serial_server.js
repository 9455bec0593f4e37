// A Modbus TCP server on modbus-serial: node modbus_serial_server.js PORT < registers

const { ServerTCP } = require("modbus-serial");

const held = require("./registers.js")();

function read(func) {
  return (register, unit) => {
    const word = held.get(`${unit} ${func} ${register}`);
    if (word === undefined) throw { modbusErrorCode: 2 };
    return word;
  };
}

const server = new ServerTCP(
  { getHoldingRegister: read(3), getInputRegister: read(4) },
  { host: "127.0.0.1", port: Number(process.argv[2]), unitID: 255 },
);
server.on("initialized", () => console.log("ready"));
server.on("socketError", () => {});
