SELECT DISTINCT instrument_id FROM risk_states ORDER BY instrument_id
