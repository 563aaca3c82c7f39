drop function if exists {schema}.monitoring_set_back(text, text, bigint, bigint, bigint, text);
