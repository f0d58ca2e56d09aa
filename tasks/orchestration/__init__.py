"""The only wing that imports Prefect: stages, runs, events, artifacts, and what its server knows.

Each module is a door of its own: flows import what they need, as Prefect takes long to import.
"""
