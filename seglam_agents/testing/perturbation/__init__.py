"""Changed requests whose meaning is known by how they were made: the same as before, or another.

```python
subject = subject_of("Cancel order A-12 for Ann Lee", values=["A-12", "Ann Lee"])
for changed in perturbations(subject, Random(0)):
    print(changed.meaning, changed.sort, changed.text)
```
"""

from __future__ import annotations

from seglam_agents.testing.perturbation.generator import SORTS, perturbations
from seglam_agents.testing.perturbation.perturbed import Meaning, Perturbed, right_hit
from seglam_agents.testing.perturbation.subject import Span, Subject, subject_of

__all__ = ["SORTS", "Meaning", "Perturbed", "Span", "Subject", "perturbations", "right_hit", "subject_of"]
