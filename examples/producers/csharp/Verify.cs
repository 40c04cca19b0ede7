// Checks a callback's signature as Standard Webhooks says, with .NET's own libraries alone (or Mono's).
//
//   mcs -r:System.Net.Http.dll -r:System.Runtime.Serialization.dll Verify.cs   (.NET: in a console project)
//   WEBHOOK_ID=… WEBHOOK_TIMESTAMP=… WEBHOOK_SIGNATURE=… CALLBACK_SECRET=whsec_… mono Verify.exe < body
//
// The headers and the body exactly as they came. Prints the event's type and receipt, or ends with 1 and the reason.
using System;
using System.IO;
using System.Linq;
using System.Runtime.Serialization;
using System.Runtime.Serialization.Json;
using System.Security.Cryptography;
using System.Text;

[DataContract]
sealed class Event
{
    [DataMember(Name = "type")] public string Type { get; set; }
    [DataMember(Name = "subject")] public string Subject { get; set; }
}

static class Verify
{
    const int ToleranceSeconds = 300;
    static readonly char[] Blank = { ' ' };

    static int Main()
    {
        var stream = new MemoryStream(); // the bytes: JSON that was read and written again has another signature
        Console.OpenStandardInput().CopyTo(stream);
        var wrong = WrongWith(Header("ID"), Header("TIMESTAMP"), Header("SIGNATURE"),
            Environment.GetEnvironmentVariable("CALLBACK_SECRET") ?? "", stream.ToArray());
        if (wrong != null)
        {
            Console.Error.WriteLine($"not from payconfirm: {wrong}"); // answer 400
            return 1;
        }
        stream.Position = 0;
        var happened = (Event)new DataContractJsonSerializer(typeof(Event)).ReadObject(stream);
        // drop what comes again (the same webhook-id), answer 204 within 10 s
        Console.WriteLine($"{happened.Type} {happened.Subject}");
        return 0;
    }

    /// <summary>Says why this isn't ours; null where a secret of ours signed exactly this body, and just now.</summary>
    static string WrongWith(string id, string timestamp, string signatures, string secrets, byte[] body)
    {
        long seconds;
        if (!long.TryParse(timestamp, out seconds)
            || Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - seconds) > ToleranceSeconds)
            return "its timestamp is missing or over five minutes off: it may be a replay";
        var signed = Encoding.UTF8.GetBytes($"{id}.{timestamp}.").Concat(body).ToArray();
        // several while one is being replaced
        foreach (var secret in secrets.Split(Blank, StringSplitOptions.RemoveEmptyEntries))
        {
            using (var hmac = new HMACSHA256(Convert.FromBase64String(secret.Replace("whsec_", ""))))
            {
                var expected = "v1," + Convert.ToBase64String(hmac.ComputeHash(signed));
                if (signatures.Split(Blank).Any(signature => FixedTimeEquals(signature, expected))) return null;
            }
        }
        return "no signature of it is ours";
    }

    // .NET has CryptographicOperations.FixedTimeEquals for this; Mono and .NET Framework don't.
    static bool FixedTimeEquals(string one, string other)
    {
        if (one.Length != other.Length) return false;
        var difference = 0;
        for (var i = 0; i < one.Length; i++) difference |= one[i] ^ other[i];
        return difference == 0;
    }

    static string Header(string name) => Environment.GetEnvironmentVariable("WEBHOOK_" + name) ?? "";
}
