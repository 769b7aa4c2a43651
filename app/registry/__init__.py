"""Model versions in service: load, verify, warm up, reload, retire."""
