-- Who asked for what, who agreed, how long did that take, and did anything that loosens go through with one person?
SELECT c.command_id AS command_id, c.kind AS kind, any(c.scope) AS scope, argMin(c.maker, c.ts_ns) AS asked_by,
       maxIf(c.checker, isNotNull(c.checker)) AS agreed_by, min(c.ts_ns) AS asked, minIf(toNullable(c.ts_ns), isNotNull(c.checker)) AS agreed,
       dateDiff('second', asked, agreed) AS waited_s, argMax(c.reason, c.ts_ns) AS reason, max(c.expires_ns) AS expires,
       multiIf(kind IN ('KILL', 'RESTRICT'), 'one person may', isNull(agreed_by), 'waits for a second person',
               lowerUTF8(trimBoth(agreed_by)) = lowerUTF8(trimBoth(asked_by)), 'SAME PERSON', trimBoth(reason) = '', 'NO REASON',
               'two people') AS verdict
FROM commands_once AS c
WHERE c.ts_ns >= {since:DateTime64(9, 'UTC')} AND c.ts_ns < {until:DateTime64(9, 'UTC')}
GROUP BY command_id, kind
ORDER BY asked, command_id
