# SPDX-License-Identifier: MIT
"""docs/article.md: what is commonly written on fork, statement by statement, beside what runs of real guests show."""
