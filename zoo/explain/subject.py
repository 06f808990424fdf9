from typing import Any

Subject = Any
