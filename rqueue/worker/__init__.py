"""The consumer's side: fetcher -> executor -> finisher, and the duties that run beside them.

Nothing is imported here: a worker without a scheduler shall not wait for the scheduler's modules.
"""
