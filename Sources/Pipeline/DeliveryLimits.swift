/// Bounds of the delivery to one sink that tests make smaller.
package struct DeliveryLimits: Sendable {
    /// How many events that wait behind refused ones are remembered before the cursor passes them.
    package var heldBackMax = 4096
    /// How long a service waits for a sink that does not get on to do what somebody asked for.
    package var requestPatience = Duration.seconds(10)

    /// The usual bounds.
    package init() {}
}
