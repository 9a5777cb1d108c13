# transport
