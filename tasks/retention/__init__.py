"""Retention: what is deleted on purpose, by a policy or by a request, and how that is proved."""

from __future__ import annotations

from tasks.retention.deletion import Cause
from tasks.retention.models import Deleted, ExpiryReport, Held
from tasks.retention.policy import Policy, parse_policy, policy_key
from tasks.retention.removal import Target
from tasks.retention.report import (
    describe_deleted,
    describe_held,
    describe_planned,
    describe_problems,
    rows,
    summarize,
)
from tasks.retention.selection import Request
from tasks.retention.stages import (
    RetentionPlan,
    RetentionSession,
    delete_recording,
    plan_deletions,
    target_again,
    target_of,
)

__all__ = [
    "Cause",
    "Deleted",
    "ExpiryReport",
    "Held",
    "Policy",
    "Request",
    "RetentionPlan",
    "RetentionSession",
    "Target",
    "delete_recording",
    "describe_deleted",
    "describe_held",
    "describe_planned",
    "describe_problems",
    "parse_policy",
    "plan_deletions",
    "policy_key",
    "rows",
    "summarize",
    "target_again",
    "target_of",
]
