"""Looks at a live server, its queues and its memory, and says what is wrong and what mends it.

It only reads. ``exam.examine`` looks, ``report.report_of`` judges: by all of ``report.CHECKS``.
"""
