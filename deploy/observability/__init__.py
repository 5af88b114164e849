"""What watches a deployment: alert rules, dashboards and the pinned build of the tool that tests the rules."""
