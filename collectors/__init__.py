"""Read meters (Modbus, MQTT, files, the simulator) and hand readings to one sink."""
