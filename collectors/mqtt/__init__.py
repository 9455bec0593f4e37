"""MQTT: topics, payloads, deliveries, the collector."""
