-- Every row once, before and after merges. A view keeps the columns it was made with: a migration that adds a column
-- makes its view again.
CREATE OR REPLACE VIEW ticks_once AS SELECT * FROM ticks FINAL;
CREATE OR REPLACE VIEW risk_states_once AS SELECT * FROM risk_states FINAL;
CREATE OR REPLACE VIEW risk_alerts_once AS SELECT * FROM risk_alerts FINAL;
CREATE OR REPLACE VIEW commands_once AS SELECT * FROM commands FINAL;
CREATE OR REPLACE VIEW decisions_once AS SELECT * FROM decisions FINAL;
CREATE OR REPLACE VIEW dead_letters_once AS SELECT * FROM dead_letters FINAL;
