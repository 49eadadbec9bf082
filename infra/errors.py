"""The infrastructure's errors. Every message says what was expected, what was found, and the next step.

InfraError                     one line for a person, no secret in it
  SettingsError                a setting that cannot mean anything
  StoreError                   the object store rejects, or is addressed wrongly
    StoreUnavailableError      ... cannot do it now: try again later
    EventsUnsupportedError     ... tells nobody what is put into it
    ObjectKeyError             no object can have that key
    ObjectMissingError         no object lies at the key
  CatalogError                 the catalog is not up to date, or holds something else than was said
    CatalogUnavailableError    ... cannot do it now: try again later
  ReviewError                  an answer, a person, a queue or a view of tweets that cannot be
  StackError                   a part of the stack that cannot be started
"""


class InfraError(Exception):
    """Base of all errors of this room that are meant to be read by a person: one line, no secret in it."""


class SettingsError(InfraError):
    """A setting that cannot mean anything; the message names its ITRP_ variable."""


class StoreError(InfraError):
    """The object store does not answer, rejects, or is addressed wrongly."""


class StoreUnavailableError(StoreError):
    """The object store cannot do it now: no connection, a time-out, a server fault. Worth trying again later."""


class EventsUnsupportedError(StoreError):
    """The object store tells nobody what is put into it: list it from time to time."""


class ObjectKeyError(StoreError):
    """A key that no object can have: absolute, leading out of the store, or with impossible characters."""


class ObjectMissingError(StoreError):
    """No object lies at the key."""


class CatalogError(InfraError):
    """The catalog does not answer, is not up to date, or holds something else than was said."""


class CatalogUnavailableError(CatalogError):
    """The database cannot do it now: no connection, a restart, a lock held too long. Worth trying again later."""


class ReviewError(InfraError):
    """An answer, a person, a queue, a filter or a cursor that cannot mean anything: whoever asks has to ask otherwise."""


class StackError(InfraError):
    """A part of the stack that cannot be started; the message names its log, and its end may follow in further lines."""
