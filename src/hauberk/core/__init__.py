"""The ground floor: records, protocols, the project file, plug-in discovery, limits, errors.

It imports msgspec only.
"""
