"""All that crosses a process: events, gRPC messages, artifacts in object storage, and who may say what."""
