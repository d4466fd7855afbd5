"""When a flow runs, with the parameters of Prefect 1.4's clocks and schedules."""

import sys

from ._note import note, refuse

sys.modules[__name__ + ".clocks"] = sys.modules[__name__]  # as the module of Prefect's clocks


class Clock:
    def __init__(self, when, start_date, end_date, parameter_defaults, labels):
        if end_date is not None:
            refuse("%s: end_date=… is not supported; pause the schedule then" % type(self).__name__)
        if labels:
            refuse("%s: labels=… belong to the flow's run configuration" % type(self).__name__)
        self.input = when
        zone = getattr(start_date, "tzinfo", None)
        name = getattr(zone, "key", None) or getattr(zone, "name", None)
        if isinstance(name, str):
            self.input["timezone"] = name
        if start_date is not None:
            note("%s(start_date=…): only its time zone is taken" % type(self).__name__)
        if parameter_defaults:
            self.input["inputs"] = dict(parameter_defaults)


class CronClock(Clock):
    def __init__(self, cron, start_date=None, end_date=None, parameter_defaults=None, labels=None, day_or=None):
        if day_or is False:
            refuse("CronClock: day_or=False is not supported; give day of month or day of week")
        super().__init__({"cron": cron}, start_date, end_date, parameter_defaults, labels)


class IntervalClock(Clock):
    def __init__(self, interval, start_date=None, end_date=None, parameter_defaults=None, labels=None):
        seconds = interval.total_seconds()
        if seconds < 60 or seconds != int(seconds):
            refuse("IntervalClock: interval is at least a minute, in whole seconds")
        super().__init__({"every_seconds": int(seconds)}, start_date, end_date, parameter_defaults, labels)


class DatesClock:
    def __init__(self, *_args, **_options):
        refuse("DatesClock: a schedule has no single dates; use CronClock, or start runs with refline flow run")


class RRuleClock:
    def __init__(self, *_args, **_options):
        refuse("RRuleClock: write the rule as CronClock or IntervalClock")


class Schedule:
    def __init__(self, clocks, filters=None, or_filters=None, not_filters=None, adjustments=None):
        if filters or or_filters or not_filters or adjustments:
            refuse("Schedule: filters and adjustments are not supported; write them as cron")
        self.clocks = list(clocks)
        for clock in self.clocks:
            if not isinstance(clock, Clock):
                refuse("Schedule: %s is not a CronClock or an IntervalClock" % type(clock).__name__)


def CronSchedule(cron, start_date=None, end_date=None, day_or=None):
    return Schedule([CronClock(cron, start_date, end_date, day_or=day_or)])


def IntervalSchedule(start_date=None, interval=None, end_date=None):
    if interval is None:
        refuse("IntervalSchedule: give interval, a timedelta")
    return Schedule([IntervalClock(interval, start_date, end_date)])
