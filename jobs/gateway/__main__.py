"""Starts the gateway's process."""

from jobs.gateway.process import main

main()
