DROP TABLE host_pace, tool_calls_in_flight;
