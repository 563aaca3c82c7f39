-- table_tail stays where it is: what was pruned does not come back.
drop function if exists {schema}.monitoring_move_tail(text, bigint);
drop function if exists {schema}.monitoring_begin_at(text, bigint);
