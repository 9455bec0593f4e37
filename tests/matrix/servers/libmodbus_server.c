/* A Modbus TCP server on libmodbus.

   usage: libmodbus_server PORT < registers
   Lines of registers: UNIT FUNCTION ADDRESS WORD..., words in hex; the lines of one unit and
   function follow one another without a hole. Prints "ready" once it listens. An unknown unit gets
   exception 11; libmodbus itself answers exception 2 for registers that are not there. */

#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#define UNITS 248
#define MOST 1000

static modbus_mapping_t *units[UNITS];

static modbus_mapping_t *registers_of(int unit, int function, int address) {
  modbus_mapping_t *map = units[unit];
  if (map == NULL) {
    map = units[unit] = modbus_mapping_new_start_address(0, 0, 0, 0, address, MOST, address, MOST);
    if (map == NULL) exit(1);
    map->nb_registers = map->nb_input_registers = 0;
  }
  if (function == 3 && map->nb_registers == 0) map->start_registers = address;
  if (function == 4 && map->nb_input_registers == 0) map->start_input_registers = address;
  return map;
}

static void read_registers(void) {
  char line[65536];
  while (fgets(line, sizeof line, stdin) != NULL) {
    int unit, function, address, used;
    unsigned word;
    char *at = line;
    if (sscanf(at, "%d %d %d%n", &unit, &function, &address, &used) != 3) continue;
    modbus_mapping_t *map = registers_of(unit, function, address);
    for (at += used; sscanf(at, "%x%n", &word, &used) == 1; at += used) {
      if (function == 3)
        map->tab_registers[map->nb_registers++] = (uint16_t) word;
      else
        map->tab_input_registers[map->nb_input_registers++] = (uint16_t) word;
    }
  }
}

static int answer(modbus_t *context, int socket) {
  uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
  modbus_set_socket(context, socket);
  int length = modbus_receive(context, query);
  if (length < 0) return -1;
  modbus_mapping_t *map = units[query[modbus_get_header_length(context) - 1]];
  if (map == NULL)
    return modbus_reply_exception(context, query, MODBUS_EXCEPTION_GATEWAY_TARGET);
  return modbus_reply(context, query, length, map);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  read_registers();
  modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(arguments[1]));
  int listening = modbus_tcp_listen(context, 10);
  if (listening < 0) {
    fprintf(stderr, "%s\n", modbus_strerror(errno));
    return 1;
  }
  puts("ready");
  fflush(stdout);
  fd_set open;
  FD_ZERO(&open);
  FD_SET(listening, &open);
  int highest = listening;
  for (;;) {
    fd_set ready = open;
    if (select(highest + 1, &ready, NULL, NULL, NULL) < 0) return 1;
    for (int socket = 0; socket <= highest; socket++) {
      if (!FD_ISSET(socket, &ready)) continue;
      if (socket == listening) {
        int accepted = modbus_tcp_accept(context, &listening);
        if (accepted >= 0) FD_SET(accepted, &open);
        if (accepted > highest) highest = accepted;
      } else if (answer(context, socket) < 0) {
        close(socket);
        FD_CLR(socket, &open);
      }
    }
  }
}
