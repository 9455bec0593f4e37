"""OPC UA: subscriptions, and reads of what did not change. Nothing is ever written."""
