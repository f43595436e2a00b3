-- The benchmark's table and its work: orders_backlog(n) makes n transactions of 100 changes each (50 inserts, 40 updates,
-- 10 deletes). About one row in twenty needs JSON escapes, one in ten has text beyond ASCII, one in fifty a NULL.
CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    customer_id bigint NOT NULL,
    status      text NOT NULL,
    amount      numeric(12,2) NOT NULL,
    note        text,
    paid        boolean,
    created_at  timestamptz,
    updated_at  timestamptz
);

CREATE FUNCTION order_note(i bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN i % 20 = 0 THEN 'said "leave it at the door"' || E'\n\t' || 'path C:\tmp\' || lpad(i::text, 9, '0') || ' thanks, bye'
        WHEN i % 10 = 5 THEN 'Größe XL für Frau Ångström – café № ' || lpad(i::text, 9, '0') || ' 日本 😀'
        WHEN i % 50 = 49 THEN NULL
        ELSE 'please ring twice, parcel ' || lpad(i::text, 9, '0') || ' goes to the back office'
    END
$$;

CREATE FUNCTION orders_rows(low bigint, high bigint) RETURNS SETOF orders LANGUAGE sql AS $$
    SELECT i, (i * 7919) % 100003, (ARRAY['new', 'paid', 'packed', 'shipped', 'done'])[1 + abs(i) % 5],
        ((i * 104729) % 10000000)::numeric / 100, order_note(i), CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END,
        timestamptz '2026-01-01 00:00:00+00' + i * interval '1.000137 s', clock_timestamp()
    FROM generate_series(low, high) i
$$;

-- Rows that exist before any slot: transaction k updates and deletes rows of transaction k - 20.
INSERT INTO orders SELECT * FROM orders_rows(-999, 0);

CREATE PROCEDURE orders_backlog(transactions bigint) LANGUAGE plpgsql AS $$
DECLARE
    first bigint;
    old bigint;
BEGIN
    FOR k IN 0 .. transactions - 1 LOOP
        first := k * 50;
        old := first - 1000;
        INSERT INTO orders SELECT * FROM orders_rows(first + 1, first + 50);
        UPDATE orders SET status = 'shipped', amount = amount + 1, paid = true, updated_at = clock_timestamp()
            WHERE id BETWEEN old + 1 AND old + 40;
        DELETE FROM orders WHERE id BETWEEN old + 41 AND old + 50;
        COMMIT;
    END LOOP;
END $$;

CREATE PUBLICATION bench_pub FOR TABLE orders;
