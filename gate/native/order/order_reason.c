/* What every reason is called: the word in OrderDecision.reason, and the id of the rule that decided.
 *
 * Invariant: words and ids are for ever, as the numbers are: records, reports and the rule book of a firm name them. A rule id is
 * TG-<GROUP>-<NAME>, and this is the one place that lists them:
 *     DATA      what the gate must know and does not      FORM      the order as such
 *     STOP      nobody trades here now                    PERMIT    who may trade what
 *     SIZE      one order alone                           PRICE     one price against the market
 *     FLOW      orders over time and against each other   POSITION  lots held and working
 *     EXPOSURE  value held and working                    LOSS      money lost
 *     SOFT      a second person decides                   PASS      no rule objected
 */
#include "order/order.h"

static const struct {
    const char *word, *rule;
} names[REASON_COUNT] = {
    [REASON_OK] = {"ok", "TG-PASS-ALL"},
    [REASON_INVALID_ORDER] = {"invalid_order", "TG-FORM-INVALID"},
    [REASON_KILLED] = {"killed", "TG-STOP-KILL"},
    [REASON_UNKNOWN_INSTRUMENT] = {"unknown_instrument", "TG-DATA-INSTRUMENT"},
    [REASON_TORN_READ] = {"torn_read", "TG-DATA-TORN"},
    [REASON_LIMIT_UNSET] = {"limit_unset", "TG-DATA-UNSET"},
    [REASON_HALTED] = {"halted", "TG-STOP-HALT"},
    [REASON_MAX_ORDER_SIZE] = {"max_order_size", "TG-SIZE-QTY"},
    [REASON_NO_REFERENCE_PRICE] = {"no_reference_price", "TG-DATA-REFERENCE"},
    [REASON_PRICE_BAND] = {"price_band", "TG-PRICE-BAND"},
    [REASON_UNKNOWN_ACCOUNT] = {"unknown_account", "TG-DATA-ACCOUNT"},
    [REASON_RESTRICTED] = {"restricted", "TG-PERMIT-RESTRICTED"},
    [REASON_NOT_PERMITTED] = {"not_permitted", "TG-PERMIT-CLASS"},
    [REASON_TICK_SIZE] = {"tick_size", "TG-FORM-TICK"},
    [REASON_QTY_STEP] = {"qty_step", "TG-FORM-STEP"},
    [REASON_PRICE_BAND_TICKS] = {"price_band_ticks", "TG-PRICE-TICKS"},
    [REASON_PERIOD_BAND] = {"period_band", "TG-PRICE-PERIOD"},
    [REASON_QUOTE_OFFSET] = {"quote_offset", "TG-PRICE-OFFSET"},
    [REASON_MAX_ORDER_VALUE] = {"max_order_value", "TG-SIZE-VALUE"},
    [REASON_DUPLICATE_ORDER] = {"duplicate_order", "TG-FLOW-DUPLICATE"},
    [REASON_MESSAGE_RATE] = {"message_rate", "TG-FLOW-RATE"},
    [REASON_REPEATED_EXECUTION] = {"repeated_execution", "TG-FLOW-REPEAT"},
    [REASON_PERIOD_VALUE] = {"period_value", "TG-FLOW-PERIOD"},
    [REASON_BASKET_VALUE] = {"basket_value", "TG-FLOW-BASKET"},
    [REASON_PARENT_QTY] = {"parent_qty", "TG-FLOW-PARENT"},
    [REASON_REDUCE_ONLY] = {"reduce_only", "TG-POSITION-REDUCE"},
    [REASON_MAX_LONG] = {"max_long", "TG-POSITION-LONG"},
    [REASON_MAX_SHORT] = {"max_short", "TG-POSITION-SHORT"},
    [REASON_SHORT_LOCATE] = {"short_locate", "TG-POSITION-LOCATE"},
    [REASON_SELF_MATCH] = {"self_match", "TG-FLOW-SELF"},
    [REASON_OPEN_ORDERS] = {"open_orders", "TG-FLOW-OPEN"},
    [REASON_GROSS_VALUE] = {"gross_value", "TG-EXPOSURE-GROSS"},
    [REASON_NET_VALUE] = {"net_value", "TG-EXPOSURE-NET"},
    [REASON_CONCENTRATION] = {"concentration", "TG-EXPOSURE-INSTRUMENT"},
    [REASON_CREDIT] = {"credit", "TG-EXPOSURE-CREDIT"},
    [REASON_DAY_LOSS] = {"day_loss", "TG-LOSS-DAY"},
    [REASON_DRAWDOWN] = {"drawdown", "TG-LOSS-DRAWDOWN"},
    [REASON_FIRM_VALUE] = {"firm_value", "TG-EXPOSURE-FIRM"},
    [REASON_UNKNOWN_ORDER] = {"unknown_order", "TG-DATA-ORDER"},
    [REASON_SESSION_DOWN] = {"session_down", "TG-STOP-SESSION"},
    [REASON_NOT_RECONCILED] = {"not_reconciled", "TG-STOP-RECONCILE"},
    [REASON_NO_ROOM] = {"no_room", "TG-STOP-ROOM"},
    [REASON_NEEDS_APPROVAL] = {"needs_approval", "TG-SOFT-APPROVAL"},
    [REASON_SESSION_RATE] = {"session_rate", "TG-FLOW-SESSION"},
};

const char *order_reason_word(int reason)
{
    return reason >= 0 && reason < REASON_COUNT ? names[reason].word : NULL;
}

const char *order_reason_rule(int reason)
{
    return reason >= 0 && reason < REASON_COUNT ? names[reason].rule : NULL;
}
