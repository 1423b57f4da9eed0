"""The panel's parts: Qt widgets and what keeps the user interface alive while the core works.

Needs qt (PythonQt as in 3D Slicer), ctk and slicer; no mathematics, and torch is imported at first use only. Everything
here belongs into the main thread, except what `job_thread` runs.
"""
