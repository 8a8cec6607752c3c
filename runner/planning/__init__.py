"""What becomes of the jobs: both sides read, compared by `core.plan_diff`, shown as text, markdown or JSON."""
