"""Planted agents: random policies whose truth is known, to measure what a cache concludes from their runs.

```python
for course in draw_courses(20, seed=7):
    stage = Stage(course.agent)
    with ReasoningCache(tools=stage.tools(), now=stage.now) as cache:
        for trace in course.trainings(3):
            cache.observe(trace)
        for examined in examine(course, stage, cache, runs=3, fresh=10):
            assert not examined.judgement.wrong, examined
```
"""

from __future__ import annotations

from seglam_agents.testing.planted.agent import Ask, Desk, PlantedAgent, Said, Truth
from seglam_agents.testing.planted.course import Course, draw_course, draw_courses
from seglam_agents.testing.planted.drawing import Chance, Setting
from seglam_agents.testing.planted.families import FAMILIES, GROUPS
from seglam_agents.testing.planted.judging import Judgement, Verdict, judge, judge_stranger
from seglam_agents.testing.planted.stage import Stage
from seglam_agents.testing.planted.trial import Examined, Learner, Tally, examine

__all__ = [
    "FAMILIES",
    "GROUPS",
    "Ask",
    "Chance",
    "Course",
    "Desk",
    "Examined",
    "Judgement",
    "Learner",
    "PlantedAgent",
    "Said",
    "Setting",
    "Stage",
    "Tally",
    "Truth",
    "Verdict",
    "draw_course",
    "draw_courses",
    "examine",
    "judge",
    "judge_stranger",
]
