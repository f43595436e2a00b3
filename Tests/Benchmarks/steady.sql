-- A load that does not depend on how fast anybody reads: so many transactions of five rows each second, at even times.
CREATE PROCEDURE steady_load(seconds int, rate int) LANGUAGE plpgsql AS $$
DECLARE
    begun timestamptz := clock_timestamp();
    pause double precision;
BEGIN
    FOR k IN 0 .. seconds * rate - 1 LOOP
        INSERT INTO orders SELECT * FROM orders_rows(k * 5 + 1, k * 5 + 5);
        COMMIT;
        pause := k::double precision / rate - extract(epoch FROM clock_timestamp() - begun);
        IF pause > 0.001 THEN
            PERFORM pg_sleep(pause);
        END IF;
    END LOOP;
END $$;
